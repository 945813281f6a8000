// One optimiser step of group-robust preference optimisation on one rank.
// Source: Ramesh et al. 2024 (arXiv:2405.20304), Algorithm 1, over a global batch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "common/dataset/shard_plan.h"
#include "common/robust/step_weights.h"
#include "worker/collective/collective.h"
#include "worker/language_model/gradient_buckets.h"
#include "worker/language_model/pair_forward.h"
#include "worker/optimizer/optimizer.h"
#include "worker/training/trained_policy.h"

namespace equipoise {

// One place of a batch: a pair may have several.
struct BatchLoss {
  std::int64_t pair = 0;  // position in ForwardInputs::pairs
  double weight = 0;      // v_i
  double loss = 0;        // l_i, as S_g has it
};

struct StepResult {
  BatchSums sums;              // of the global batch
  std::vector<double> weight;  // w_g of the groups present, ascending by group
  double loss = 0;             // sum_g w_g L_g, or the batch's mean (mode none): the value whose gradient was taken
  std::optional<double> loss_error = std::nullopt;  // its standard error, of a step that is logged
  double grad_norm = 0;                             // before clipping
  double learning_rate = 0;
  bool skipped = false;  // a loss or the gradient was not finite: no parameter has changed
  std::vector<PhaseSeconds> phases;
  std::vector<BatchLoss> pair_losses = {};  // of the global batch, on rank 0, where StepParts asks for them
};

// What a step works on; all of it outlives the step.
struct StepParts {
  ForwardInputs inputs;
  const RobustSettings& robust;
  std::span<const double> group_pair_count_K;  // N_g, as estimator_sizes() takes it
  std::int64_t micro_batch_tokens;
  ShardCursor& cursor;
  Collective& host;  // for the group sums
  GradientBuckets& gradients;
  Optimizer& optimizer;
  StepWeights& weights;
  // Steps whose line is written: with standard errors and what the answers' tokens show. Empty: none.
  std::function<bool(std::int64_t step)> is_logged = {};
  double num_pairs = 0;                            // N of what N_g are sizes in; 0: the number of pairs
  std::optional<std::uint64_t> dropout_seed = {};  // of the adapter's dropout masks; absent: none
  // Every rank says the same. One more all-reduce, of 2 |B| float64, at the end of a step.
  bool keeps_pair_losses = false;
};

// All ranks call it for the same step, one after the other. Throws what its parts throw.
StepResult train_step(StepParts& parts, std::int64_t step);

}  // namespace equipoise
