// Loss and accuracy of every group on the validation pairs.
#pragma once

#include "worker/train/pair_forward.h"

namespace equipoise {

// Exact sums over all of inputs.pairs, shared out over the ranks; every rank gets the result. `num_groups` counts the
// groups of this data set. No gradient is kept.
BatchSums evaluate_pairs(const ForwardInputs& inputs, std::size_t num_groups, std::int64_t micro_batch_tokens,
                         Collective& host);

}  // namespace equipoise
