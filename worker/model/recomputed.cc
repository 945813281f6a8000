#include "worker/model/recomputed.h"

#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace equipoise {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Layer = std::function<torch::Tensor(const torch::Tensor&)>;

struct HeldLayer : torch::CustomClassHolder {
  explicit HeldLayer(Layer held) : layer(std::move(held)) {}
  Layer layer;
};
using HeldLayerPtr = c10::intrusive_ptr<HeldLayer>;

struct Recomputed : torch::autograd::Function<Recomputed> {
  // `anchor` requires a gradient where x does not: the layer's own tensors may.
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, const torch::Tensor& /*anchor*/,
                               const HeldLayerPtr& held) {
    context->save_for_backward({x});
    context->saved_data["layer"] = c10::IValue::make_capsule(held);
    return held->layer(x);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto held = c10::static_intrusive_pointer_cast<HeldLayer>(context->saved_data["layer"].toCapsule());
    const torch::AutoGradMode with_graph(true);
    const torch::Tensor x = context->get_saved_variables()[0].detach().requires_grad_(context->needs_input_grad(0));
    const torch::Tensor y = held->layer(x);
    // Inside the backward pass that called: the layer's tensors get their gradients here, x's is handed on.
    if (y.requires_grad()) y.backward(gradients[0]);
    return {x.grad(), {}, {}};
  }
};

}  // namespace

torch::Tensor recomputed(Layer layer, const torch::Tensor& x) {
  if (!torch::GradMode::is_enabled()) return layer(x);
  const torch::Tensor anchor = torch::zeros({}, x.options().requires_grad(true));
  return Recomputed::apply(x, anchor, c10::make_intrusive<HeldLayer>(std::move(layer)));
}

}  // namespace equipoise
