// Means over the validation pairs, of every group, and of each file's pairs alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/language_model/pair_forward.h"

namespace equipoise {

struct EvaluationSums {
  BatchSums all;                 // of all pairs
  std::vector<BatchSums> files;  // of each file's
};

// Exact sums over all of inputs.pairs, by their weights, with their standard errors, shared out over the ranks; every
// rank gets the result. Each pair goes through the model once, without dropout or gradient.
//   num_groups   of this data set
//   pairs_F  [F]  of each file, which follow each other and are all pairs; empty: no sums of files
EvaluationSums evaluate_files(const ForwardInputs& inputs, std::size_t num_groups, std::int64_t micro_batch_tokens,
                              std::span<const std::int64_t> pairs_F, Collective& host);

}  // namespace equipoise
