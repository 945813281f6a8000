#include "worker/train/evaluation.h"

namespace equipoise {

BatchSums evaluate_pairs(const ForwardInputs& inputs, std::size_t num_groups, std::int64_t micro_batch_tokens,
                         Collective& host) {
  const torch::NoGradGuard no_grad;
  BatchSums sums(num_groups);
  const auto count = static_cast<std::int64_t>(inputs.pairs.size());
  const double scale = loss_scale(inputs, rank_slice(count, {.rank = 0, .world_size = 1}));
  for (const auto& indices : split_micro_batches(inputs.pairs, rank_slice(count, host.info()), micro_batch_tokens)) {
    const PairForward forward = forward_pairs(inputs, indices, scale);
    for (std::size_t b = 0; b < indices.size(); ++b) {
      sums.add(forward.outcomes[b], inputs.pairs[static_cast<std::size_t>(indices[b])].memberships);
    }
  }
  sums.all_reduce(host);
  return sums;
}

}  // namespace equipoise
