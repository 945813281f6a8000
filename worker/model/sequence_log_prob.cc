#include "worker/model/sequence_log_prob.h"

#include "worker/model/gathered_rows.h"
#include "worker/model/token_log_prob.h"

namespace equipoise {
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
