#include "worker/model/log_prob.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "worker/model/gathered_rows.h"
#include "worker/model/wide_type.h"

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

// d log p / dz = onehot(target) - softmax(z), times dz / d(hidden weight^T) = 1 - (z / c)^2 with a soft-cap.
// [c, V] in the memory of the logits.
torch::Tensor logit_slope(torch::Tensor logits_cV, const torch::Tensor& log_sum_c, const torch::Tensor& target_c,
                          std::optional<double> softcap) {
  torch::Tensor cap_slope_cV;
  if (softcap) cap_slope_cV = 1 - (logits_cV / *softcap).square_();
  logits_cV.sub_(log_sum_c.unsqueeze(1)).exp_().neg_();
  logits_cV.scatter_add_(1, target_c.unsqueeze(1), torch::ones_like(log_sum_c).unsqueeze(1));
  return softcap ? logits_cV.mul_(cap_slope_cV) : logits_cV;
}

HeadStatistics empty_statistics(const torch::Tensor& like_C) {
  return {.entropy_C = torch::empty_like(like_C),
          .mean_logit_C = torch::empty_like(like_C),
          .is_first_C = torch::empty_like(like_C)};
}

// Of the rows from `begin` on. Entropy is log sum - sum_v p_v z_v.
void write_statistics(const torch::Tensor& logits_cV, const torch::Tensor& log_sum_c, const torch::Tensor& target_c,
                      std::int64_t begin, HeadStatistics& statistics) {
  const auto part = [&](const torch::Tensor& tensor_C) { return tensor_C.narrow(0, begin, logits_cV.size(0)); };
  const torch::Tensor target_logit_c = logits_cV.gather(1, target_c.unsqueeze(1)).squeeze(1);
  part(statistics.is_first_C).copy_(target_logit_c.ge(logits_cV.amax(1)));
  part(statistics.mean_logit_C).copy_(logits_cV.mean(1));
  torch::Tensor weighted_cV = (logits_cV - log_sum_c.unsqueeze(1)).exp_().mul_(logits_cV);
  part(statistics.entropy_C).copy_(log_sum_c - weighted_cV.sum(1));
}

enum class Head { kTrained, kFrozen };

// Of a trained head the logits are computed again in the backward pass. Of a frozen one only d log p / dhidden is
// wanted, which is [C, H] and formed while the logits are there: the backward pass is one product by the gradient.
struct TokenLogProbs : torch::autograd::Function<TokenLogProbs> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& hidden_CH, const torch::Tensor& weight_VH,
                               const torch::Tensor& target_C, std::optional<double> softcap, Head head,
                               HeadStatistics* statistics) {
    const std::int64_t rows = hidden_CH.size(0);
    const auto options = hidden_CH.options().dtype(wide_type(hidden_CH.scalar_type()));
    const torch::Tensor log_prob_C = torch::empty({rows}, options);
    const torch::Tensor log_sum_C = torch::empty({rows}, options);
    const torch::Tensor slope_CH = head == Head::kFrozen ? torch::empty_like(hidden_CH) : torch::Tensor();
    if (statistics != nullptr) *statistics = empty_statistics(log_prob_C);
    for_each_chunk(rows, rows_at_once(weight_VH), [&](std::int64_t begin, std::int64_t count) {
      const torch::Tensor logits_cV = head_logits(hidden_CH.narrow(0, begin, count), weight_VH, softcap);
      const torch::Tensor target_c = target_C.narrow(0, begin, count);
      torch::Tensor log_sum_c = log_sum_C.narrow(0, begin, count);
      torch::logsumexp_out(log_sum_c, logits_cV, 1);
      log_prob_C.narrow(0, begin, count).copy_(logits_cV.gather(1, target_c.unsqueeze(1)).squeeze(1) - log_sum_c);
      if (statistics != nullptr) write_statistics(logits_cV, log_sum_c, target_c, begin, *statistics);
      if (!slope_CH.defined()) return;
      torch::Tensor slope_cH = slope_CH.narrow(0, begin, count);
      const torch::Tensor slope_cV = logit_slope(logits_cV, log_sum_c, target_c, softcap);
      torch::mm_out(slope_cH, slope_cV.to(weight_VH.scalar_type()), weight_VH);
    });
    context->saved_data["softcap"] = softcap;
    context->save_for_backward(slope_CH.defined() ? variable_list{slope_CH}
                                                  : variable_list{hidden_CH, weight_VH, target_C, log_sum_C});
    return log_prob_C;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor gradient_C1 = gradients[0].unsqueeze(1);
    if (saved.size() == 1) return {(saved[0] * gradient_C1).to(saved[0].scalar_type()), {}, {}, {}, {}, {}};
    const auto softcap = context->saved_data["softcap"].toOptional<double>();
    const auto [d_hidden_CH, d_weight_VH] = trained_head_gradients(saved, gradient_C1, softcap);
    return {d_hidden_CH, d_weight_VH, {}, {}, {}, {}};
  }

  // dhidden = g * slope weight;  dweight = slope^T (g * hidden)
  static std::pair<torch::Tensor, torch::Tensor> trained_head_gradients(const variable_list& saved,
                                                                        const torch::Tensor& gradient_C1,
                                                                        std::optional<double> softcap) {
    const torch::Tensor &hidden_CH = saved[0], &weight_VH = saved[1], &target_C = saved[2], &log_sum_C = saved[3];
    const torch::Dtype dtype = weight_VH.scalar_type(), wide = wide_type(dtype);
    const torch::Tensor d_hidden_CH = torch::empty_like(hidden_CH);
    // Dozens of chunks add up: in a narrow type each sum would lose bits.
    const torch::Tensor d_weight_VH = torch::zeros_like(weight_VH, weight_VH.options().dtype(wide));
    for_each_chunk(hidden_CH.size(0), rows_at_once(weight_VH), [&](std::int64_t begin, std::int64_t count) {
      const auto part = [&](const torch::Tensor& tensor) { return tensor.narrow(0, begin, count); };
      const torch::Tensor logits_cV = head_logits(part(hidden_CH), weight_VH, softcap);
      const torch::Tensor slope_cV = logit_slope(logits_cV, part(log_sum_C), part(target_C), softcap).to(dtype);
      part(d_hidden_CH).copy_(torch::mm(slope_cV, weight_VH) * part(gradient_C1));
      const torch::Tensor scaled_cH = (part(hidden_CH) * part(gradient_C1)).to(dtype);
      if (wide == dtype) {
        d_weight_VH.addmm_(slope_cV.t(), scaled_cH);
      } else {
        d_weight_VH.add_(torch::mm(slope_cV.t(), scaled_cH));
      }
    });
    return {d_hidden_CH, d_weight_VH.to(dtype)};
  }
};

}  // namespace

torch::Tensor head_logits(const torch::Tensor& hidden_CH, const torch::Tensor& weight_VH,
                          std::optional<double> softcap) {
  const torch::Tensor product_CV = torch::mm(hidden_CH, weight_VH.t());
  const torch::Tensor logits_CV = product_CV.to(wide_type(product_CV.scalar_type()));
  return softcap ? (logits_CV / *softcap).tanh() * *softcap : logits_CV;
}

torch::Tensor token_log_probs(const torch::Tensor& hidden_CH, const torch::Tensor& weight_VH,
                              const torch::Tensor& target_C, std::optional<double> softcap,
                              HeadStatistics* statistics) {
  const bool is_frozen = torch::GradMode::is_enabled() && hidden_CH.requires_grad() && !weight_VH.requires_grad();
  return TokenLogProbs::apply(hidden_CH, weight_VH, target_C, softcap, is_frozen ? Head::kFrozen : Head::kTrained,
                              statistics);
}

namespace {

// Of each pair's answers, from one number a scored token.
torch::Tensor sums_of_pairs(const PackedBatch& batch, const torch::Tensor& value_C) {
  const torch::Tensor wide_C = value_C.to(torch::kFloat64);
  const torch::Tensor sum_A = torch::zeros({batch.num_answers}, wide_C.options()).index_add(0, batch.answer_C, wide_C);
  return sum_A.index_select(0, batch.answer_of_pair_B2.flatten()).view({batch.num_pairs, 2});
}

PairTokenSums token_sums_of(const PackedBatch& batch, const HeadStatistics& statistics) {
  const torch::NoGradGuard no_grad;
  return {.tokens_B2 = sums_of_pairs(batch, torch::ones_like(statistics.entropy_C)),
          .entropy_B2 = sums_of_pairs(batch, statistics.entropy_C),
          .mean_logit_B2 = sums_of_pairs(batch, statistics.mean_logit_C),
          .is_first_B2 = sums_of_pairs(batch, statistics.is_first_C)};
}

}  // namespace

PairLogProbs pair_log_probs(const Decoder& decoder, const PackedBatch& batch, PairTokenSums* token_sums) {
  HeadStatistics statistics;
  const torch::Tensor hidden_CH = gathered_rows(decoder.hidden_states(batch), batch.source_C);
  const torch::Tensor log_prob_C =
      token_log_probs(hidden_CH, decoder.head_weight(), batch.target_C, decoder.config().logit_softcap,
                      token_sums != nullptr ? &statistics : nullptr);
  if (token_sums != nullptr) *token_sums = token_sums_of(batch, statistics);
  // Long answers add up hundreds of terms: float64 keeps the sum's rounding below that of its terms, and what several
  // pairs have in common gets the sum of their gradients in float64 as well.
  const torch::Tensor sum_B2 = sums_of_pairs(batch, log_prob_C).to(log_prob_C.scalar_type());
  return {.chosen_B = sum_B2.select(1, 0), .rejected_B = sum_B2.select(1, 1)};
}

}  // namespace equipoise
