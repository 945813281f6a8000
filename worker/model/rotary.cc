#include "worker/model/rotary.h"

#include <torch/csrc/autograd/custom_function.h>

namespace equipoise {
namespace {

torch::Tensor turn(const torch::Tensor& x_TND, const torch::Tensor& cos_T1D, const torch::Tensor& sin_T1D,
                   double direction) {
  const std::int64_t half = x_TND.size(-1) / 2;
  const torch::Tensor first = x_TND.narrow(-1, 0, half), second = x_TND.narrow(-1, half, half);
  torch::Tensor turned = torch::empty(x_TND.sizes(), x_TND.options());
  torch::Tensor turned_first = turned.narrow(-1, 0, half), turned_second = turned.narrow(-1, half, half);
  torch::mul_out(turned_first, first, cos_T1D).addcmul_(second, sin_T1D, -direction);
  torch::mul_out(turned_second, second, cos_T1D).addcmul_(first, sin_T1D, direction);
  return turned;
}

// One node instead of the ten that rotate_half() leaves; its gradient is the turn back.
struct Rotate : torch::autograd::Function<Rotate> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x_TND,
                               const torch::Tensor& cos_T1D, const torch::Tensor& sin_T1D) {
    context->save_for_backward({cos_T1D, sin_T1D});
    return turn(x_TND, cos_T1D, sin_T1D, 1);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {turn(gradients[0], saved[0], saved[1], -1), {}, {}};
  }
};

}  // namespace

RotaryAngles rotary_angles(const torch::Tensor& position_T, double theta, std::int64_t head_dim, torch::Dtype dtype) {
  const torch::Dtype wide = dtype == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const torch::TensorOptions options = position_T.options().dtype(wide);
  const torch::Tensor exponent_D = torch::arange(0, head_dim, 2, options) / static_cast<double>(head_dim);
  const torch::Tensor frequency_D = torch::pow(theta, exponent_D).reciprocal();
  const torch::Tensor angle_T1D = position_T.to(wide).view({-1, 1, 1}) * frequency_D;
  return {.cos_T1D = angle_T1D.cos().to(dtype), .sin_T1D = angle_T1D.sin().to(dtype)};
}

torch::Tensor rotate(const torch::Tensor& x_TND, const RotaryAngles& angles) {
  return Rotate::apply(x_TND, angles.cos_T1D, angles.sin_T1D);
}

}  // namespace equipoise
