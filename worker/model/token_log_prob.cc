#include "worker/model/token_log_prob.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace equipoise {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows whose logits are in memory at once: 64 MiB of float32 on a CPU; on a GPU 512 MiB, for which reading the weight
// again for each chunk costs less than the products.
std::int64_t rows_at_once(const torch::Tensor& weight_VH) {
  constexpr std::int64_t kFewest = 16;
  const std::int64_t elements = std::int64_t{1} << (weight_VH.is_cuda() ? 27 : 24);
  return std::max(kFewest, elements / weight_VH.size(0));
}

template <class Chunk>
void for_each_chunk(std::int64_t rows, std::int64_t at_once, const Chunk& chunk) {
  for (std::int64_t begin = 0; begin < rows; begin += at_once) chunk(begin, std::min(at_once, rows - begin));
}

struct TokenLogProbs : torch::autograd::Function<TokenLogProbs> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& hidden_CH, const torch::Tensor& weight_VH,
                               const torch::Tensor& target_C) {
    const std::int64_t rows = hidden_CH.size(0);
    const torch::Tensor log_prob_C = torch::empty({rows}, hidden_CH.options());
    const torch::Tensor log_sum_C = torch::empty({rows}, hidden_CH.options());
    for_each_chunk(rows, rows_at_once(weight_VH), [&](std::int64_t begin, std::int64_t count) {
      const torch::Tensor logits_cV = torch::mm(hidden_CH.narrow(0, begin, count), weight_VH.t());
      torch::Tensor log_sum_c = log_sum_C.narrow(0, begin, count);
      torch::logsumexp_out(log_sum_c, logits_cV, 1);
      const torch::Tensor chosen_c = logits_cV.gather(1, target_C.narrow(0, begin, count).unsqueeze(1)).squeeze(1);
      log_prob_C.narrow(0, begin, count).copy_(chosen_c - log_sum_c);
    });
    context->save_for_backward({hidden_CH, weight_VH, target_C, log_sum_C});
    return log_prob_C;
  }

  // dz = g * (onehot(target) - softmax(z));  dhidden = dz weight;  dweight = dz^T hidden
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &hidden_CH = saved[0], &weight_VH = saved[1], &target_C = saved[2], &log_sum_C = saved[3];
    const torch::Tensor gradient_C1 = gradients[0].unsqueeze(1);
    torch::Tensor d_hidden_CH, d_weight_VH;
    if (context->needs_input_grad(0)) d_hidden_CH = torch::empty_like(hidden_CH);
    if (context->needs_input_grad(1)) d_weight_VH = torch::zeros_like(weight_VH);
    for_each_chunk(hidden_CH.size(0), rows_at_once(weight_VH), [&](std::int64_t begin, std::int64_t count) {
      const auto part = [&](const torch::Tensor& tensor) { return tensor.narrow(0, begin, count); };
      torch::Tensor d_logits_cV = torch::mm(part(hidden_CH), weight_VH.t());
      d_logits_cV.sub_(part(log_sum_C).unsqueeze(1)).exp_().mul_(-part(gradient_C1));
      d_logits_cV.scatter_add_(1, part(target_C).unsqueeze(1), part(gradient_C1));
      if (d_hidden_CH.defined()) {
        torch::Tensor d_hidden_cH = part(d_hidden_CH);
        torch::mm_out(d_hidden_cH, d_logits_cV, weight_VH);
      }
      if (d_weight_VH.defined()) d_weight_VH.addmm_(d_logits_cV.t(), part(hidden_CH));
    });
    return {d_hidden_CH, d_weight_VH, {}};
  }
};

}  // namespace

torch::Tensor token_log_probs(const torch::Tensor& hidden_CH, const torch::Tensor& weight_VH,
                              const torch::Tensor& target_C) {
  return TokenLogProbs::apply(hidden_CH, weight_VH, target_C);
}

}  // namespace equipoise
