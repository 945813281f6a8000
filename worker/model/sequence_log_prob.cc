#include "worker/model/sequence_log_prob.h"

#include "worker/model/token_log_prob.h"

namespace equipoise {

PairLogProbs pair_log_probs(const Decoder& decoder, const PackedBatch& batch) {
  const torch::Tensor hidden_CH = decoder.hidden_states(batch).index_select(0, batch.source_C);
  const torch::Tensor log_prob_C =
      token_log_probs(hidden_CH, decoder.head_weight(), batch.target_C, decoder.config().logit_softcap);
  // Long answers add up hundreds of terms: float64 keeps the sum's rounding below that of its terms.
  const torch::Tensor wide_C = log_prob_C.to(torch::kFloat64);
  const torch::Tensor sum_B2 = torch::zeros({2 * batch.num_pairs}, wide_C.options())
                                   .index_add(0, batch.answer_C, wide_C)
                                   .to(log_prob_C.scalar_type())
                                   .view({batch.num_pairs, 2});
  return {.chosen_B = sum_B2.select(1, 0), .rejected_B = sum_B2.select(1, 1)};
}

}  // namespace equipoise
