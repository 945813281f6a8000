// Means over the validation pairs, of every group, and of each file's pairs alone; and the parameters of the best
// evaluation so far.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/language_model/pair_forward.h"
#include "worker/model/decoder.h"

namespace equipoise {

// The parameters of the best evaluation so far, in the host's memory.
class BestParameters {
 public:
  // Copies them in place of those kept before.
  void keep(const std::vector<NamedTensor>& parameters);
  // Writes what is kept, if anything is, into the same parameters.
  void put_back(const std::vector<NamedTensor>& parameters) const;

  // What is kept, in host memory, under the names of `parameters`; empty where nothing is.
  std::vector<NamedTensor> kept(const std::vector<NamedTensor>& parameters) const;

 private:
  std::vector<torch::Tensor> kept_;
};

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
