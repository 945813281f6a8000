#include "worker/language_model/step.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>

#include "worker/language_model/objective_error.h"
#include "worker/objective/group_sums.h"

namespace equipoise {
namespace {

// Seconds since the last call, added up by name.
class Laps {
 public:
  explicit Laps(std::vector<PhaseSeconds>& phases) : phases_(phases) {}
  void end(std::string_view phase) {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    const auto same = std::ranges::find(phases_, phase, &PhaseSeconds::phase);
    if (same == phases_.end()) {
      phases_.push_back({.phase = phase, .seconds = seconds});
    } else {
      same->seconds += seconds;
    }
  }

 private:
  std::vector<PhaseSeconds>& phases_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// What a pair weighs in the batch: its own v_i, times what makes sums over the batch those of the data.
double pair_weight(StepParts& parts, std::int64_t step, std::int64_t index) {
  return parts.inputs.weight(index) * parts.cursor.pair_weight(step, index);
}

void add_outcomes(const ForwardInputs& inputs, std::span<const std::int64_t> indices, const PairForward& forward,
                  std::span<const double> weight_B, BatchSums& sums) {
  for (std::size_t b = 0; b < indices.size(); ++b) {
    sums.add(forward.outcomes[b], inputs.pairs[static_cast<std::size_t>(indices[b])].memberships, weight_B[b]);
  }
}

void add_losses(const ForwardInputs& inputs, std::span<const std::int64_t> indices, const PairForward& forward,
                std::span<const double> weight_B, RankLosses& losses) {
  for (std::size_t b = 0; b < indices.size(); ++b) {
    losses.loss_B.push_back(forward.outcomes[b].loss);
    losses.memberships_B.push_back(inputs.pairs[static_cast<std::size_t>(indices[b])].memberships);
    losses.weight_B.push_back(weight_B[b]);
  }
}

// The owner of alpha is told which groups have a sum that is not finite, and 0 in place of it: all of the batch where
// the gradient is not finite.
std::vector<double> weights_of_step(StepParts& parts, std::int64_t step, const BatchSums& sums,
                                    bool gradient_is_finite = true) {
  GroupSums group_sums = sums.group_sums();
  for (double& loss_sum : group_sums.loss_sum) {
    if (!std::isfinite(loss_sum) || !gradient_is_finite) loss_sum = 0;
  }
  const std::vector<std::uint32_t> non_finite = gradient_is_finite ? sums.non_finite_groups() : group_sums.group;
  std::vector<double> weight(group_sums.group.size());
  parts.weights.step({.step = step, .sums = group_sums, .non_finite = non_finite}, weight);
  return weight;
}

// scale_g of the groups of a batch, whose sizes are in `sums`.
std::vector<double> scale_of(const StepParts& parts, const GroupSums& sums) {
  const double num_pairs = parts.num_pairs > 0 ? parts.num_pairs : static_cast<double>(parts.inputs.pairs.size());
  return estimator_scale(sums, parts.robust.estimator, parts.group_pair_count_K, num_pairs);
}

double objective(const StepParts& parts, const StepResult& result, const std::vector<double>& scale) {
  if (parts.robust.mode == RobustMode::kNone) return result.sums.loss();
  double loss = 0;
  const GroupSums sums = result.sums.group_sums();
  for (std::size_t i = 0; i < sums.group.size(); ++i) loss += result.weight[i] * scale[i] * sums.loss_sum[i];
  return loss;
}

// Every pass over a step's pairs has the same masks.
std::optional<DropoutDraw> dropout(const StepParts& parts, std::int64_t step) {
  if (!parts.dropout_seed) return std::nullopt;
  return DropoutDraw{.seed = *parts.dropout_seed, .step = step};
}

bool is_logged(const StepParts& parts, std::int64_t step) { return parts.is_logged && parts.is_logged(step); }

// The pairs of this rank, cut to the token budget, and what every forward pass over them needs: packed once.
struct RankBatch {
  std::vector<PairBatch> micro_batches;
  std::vector<std::vector<double>> weights;  // v_i, of each
  double loss_factor;
  TokenNumbers token_numbers;  // of the pass whose numbers are reported
};

RankBatch rank_batch(StepParts& parts, std::int64_t step) {
  const auto& batch = parts.cursor.global_batch(step);
  const auto weight = [&](std::int64_t index) { return pair_weight(parts, step, index); };
  const double loss_factor = loss_scale(parts.inputs, batch, weight);
  const auto mine = rank_part(parts.inputs.pairs, batch, parts.host.info());
  RankBatch result{.micro_batches = {},
                   .weights = {},
                   .loss_factor = loss_factor,
                   .token_numbers = is_logged(parts, step) ? TokenNumbers::kMeasured : TokenNumbers::kNone};
  const auto draw = dropout(parts, step);
  for_each_micro_batch(parts.inputs.pairs, mine, parts.micro_batch_tokens, [&](MicroBatch pairs) {
    std::ranges::transform(pairs.indices, std::back_inserter(result.weights.emplace_back()), weight);
    result.micro_batches.push_back(make_pair_batch(parts.inputs, std::move(pairs), draw));
  });
  return result;
}

// c_i = v_i sum_g w_g m[i,g] scale_g of each pair of this rank, one micro-batch after the other; where their losses
// are. `sums` has the sizes of the global batch and its groups, whose weights are `weight`.
torch::Tensor coefficients(const StepParts& parts, const RankBatch& batch, const GroupSums& sums,
                           std::span<const double> weight) {
  std::vector<std::span<const Membership>> memberships_B;
  std::vector<double> weight_B;
  for (std::size_t m = 0; m < batch.micro_batches.size(); ++m) {
    for (const std::int64_t index : batch.micro_batches[m].indices) {
      memberships_B.emplace_back(parts.inputs.pairs[static_cast<std::size_t>(index)].memberships);
    }
    weight_B.insert(weight_B.end(), batch.weights[m].begin(), batch.weights[m].end());
  }
  std::vector<double> c_B(weight_B.size(), 1 / sums.batch_pairs);
  if (parts.robust.mode != RobustMode::kNone) {
    c_B = pair_coefficients(memberships_B, sums, weight, scale_of(parts, sums));
  }
  for (std::size_t b = 0; b < c_B.size(); ++b) c_B[b] *= weight_B[b];
  return torch::tensor(c_B, torch::kFloat64).to(loss_options(parts.inputs.decoder));
}

// Adds this rank's pairs of the m-th micro-batch to `sums` and `losses`; gives their losses, with their graph where
// gradients are on.
torch::Tensor forward(StepParts& parts, const RankBatch& batch, std::size_t m, BatchSums& sums, RankLosses& losses) {
  const auto& indices = batch.micro_batches[m].indices;
  PairForward forward = forward_pairs(parts.inputs, batch.micro_batches[m], batch.loss_factor, batch.token_numbers);
  add_outcomes(parts.inputs, indices, forward, batch.weights[m], sums);
  add_losses(parts.inputs, indices, forward, batch.weights[m], losses);
  return std::move(forward.loss_B);
}

// Everything that a step's line has besides means.
void measure_errors(StepParts& parts, const RankLosses& losses, const std::vector<double>& scale, StepResult& result) {
  result.sums.reduce_errors(parts.host);
  result.loss_error = objective_error(parts.robust, result.sums, result.loss, losses,
                                      {.weight = result.weight, .scale = scale}, parts.host);
}

// Adds the gradient of sum c_i l_i over a micro-batch, the last of which sums it over the ranks meanwhile. `c_B` are
// the coefficients of all pairs of this rank; the micro-batch's begin at `begin`.
void backward(StepParts& parts, const torch::Tensor& c_B, std::int64_t begin, const torch::Tensor& loss_B) {
  if (begin + loss_B.size(0) == c_B.size(0)) parts.gradients.sum_during_backward();
  (c_B.narrow(0, begin, loss_B.size(0)) * loss_B).sum().backward();
}

// What the step does with the weights: the value of its objective and, where a line is written, its errors.
void set_objective(StepParts& parts, std::int64_t step, const RankLosses& losses, StepResult& result) {
  const auto scale = scale_of(parts, result.sums.group_sums());
  result.loss = objective(parts, result, scale);
  if (is_logged(parts, step)) measure_errors(parts, losses, scale, result);
}

// Clips and moves the parameters, unless the gradient is not finite.
void update(StepParts& parts, std::int64_t step, StepResult& result, Laps& laps) {
  const OptimizerResult done = parts.optimizer.step(step);
  result.grad_norm = done.grad_norm;
  result.learning_rate = done.learning_rate;
  result.skipped = !std::isfinite(done.grad_norm);
  laps.end("optimizer");
}

// True, and the step ends, where a loss is not finite.
bool skip(StepResult& result) {
  if (result.sums.non_finite_groups().empty()) return false;
  result.loss = result.sums.loss();
  return result.skipped = true;
}

// The weights depend on every loss of the batch: with one micro-batch its graph is kept, with more of them the losses
// come from a pass without graph and each micro-batch is computed again for its gradient.
void step_after_report(StepParts& parts, std::int64_t step, const RankBatch& batch, StepResult& result,
                       RankLosses& losses, Laps& laps) {
  torch::Tensor loss_B;
  const bool keeps_graph = batch.micro_batches.size() == 1;
  for (std::size_t m = 0; m < batch.micro_batches.size(); ++m) {
    const torch::AutoGradMode grad_mode(keeps_graph);
    loss_B = forward(parts, batch, m, result.sums, losses);
  }
  laps.end("forward");
  result.sums.all_reduce(parts.host);
  laps.end("group_sums");
  result.weight = weights_of_step(parts, step, result.sums);
  laps.end("weight_update");
  if (skip(result)) return;
  set_objective(parts, step, losses, result);
  const torch::Tensor c_B = coefficients(parts, batch, result.sums.group_sums(), result.weight);
  parts.gradients.zero();
  std::int64_t begin = 0;
  for (const PairBatch& micro_batch : batch.micro_batches) {
    if (!keeps_graph) loss_B = forward_losses(parts.inputs, micro_batch, batch.loss_factor);
    backward(parts, c_B, begin, loss_B);
    begin += loss_B.size(0);
  }
  parts.gradients.finish();
  laps.end("backward");
  update(parts, step, result, laps);
}

// n_g and |B| of the global batch, which every rank knows: all that the coefficients of the gradient need besides
// weights.
GroupSums batch_sizes(StepParts& parts, std::int64_t step) {
  const std::size_t num_groups = parts.group_pair_count_K.size();
  std::vector<double> count_K(num_groups);
  const auto& batch = parts.cursor.global_batch(step);
  for (const std::int64_t index : batch) {
    const double weight = pair_weight(parts, step, index);
    for (const auto& [group, share] : parts.inputs.pairs[static_cast<std::size_t>(index)].memberships) {
      count_K[group] += weight * share;
    }
  }
  const std::vector<double> no_loss_K(num_groups);
  return present_groups(no_loss_K, count_K, static_cast<double>(batch.size()));
}

// Each micro-batch is computed once, and its gradient taken at once.
void take_gradient(StepParts& parts, std::int64_t step, const RankBatch& batch, BatchSums& sums, RankLosses& losses,
                   Laps& laps) {
  const GroupSums sizes = batch_sizes(parts, step);
  torch::Tensor loss_B, c_B;
  parts.gradients.zero();
  std::int64_t begin = 0;
  for (std::size_t m = 0; m < std::max<std::size_t>(batch.micro_batches.size(), 1); ++m) {
    if (!batch.micro_batches.empty()) loss_B = forward(parts, batch, m, sums, losses);
    laps.end("forward");
    if (m == 0) {  // as late as can be: the answer to the step before may still be on its way
      std::vector<double> weight(sizes.group.size());
      parts.weights.weights_before_losses(sizes.group, weight);
      c_B = coefficients(parts, batch, sizes, weight);
      laps.end("weight_update");
    }
    if (batch.micro_batches.empty()) break;
    backward(parts, c_B, begin, loss_B);
    begin += loss_B.size(0);
    laps.end("backward");
  }
  parts.gradients.finish();
  laps.end("backward");
}

// The weights do not wait for the losses, so the owner of alpha is told last, and answers while the next step begins:
// of a loss that is not finite, or of a gradient, with which no group's loss counts.
void step_before_report(StepParts& parts, std::int64_t step, const RankBatch& batch, StepResult& result,
                        RankLosses& losses, Laps& laps) {
  take_gradient(parts, step, batch, result.sums, losses, laps);
  result.sums.all_reduce(parts.host);
  laps.end("group_sums");
  if (result.sums.non_finite_groups().empty()) update(parts, step, result, laps);
  result.weight = weights_of_step(parts, step, result.sums, /*gradient_is_finite=*/std::isfinite(result.grad_norm));
  laps.end("weight_update");
  if (!skip(result)) set_objective(parts, step, losses, result);
}

// Every rank writes its part into zeros, so that the sum over the ranks is each number itself.
std::vector<BatchLoss> gather_losses(StepParts& parts, std::int64_t step, const RankBatch& batch,
                                     const RankLosses& losses) {
  const std::size_t size = parts.cursor.global_batch(step).size();
  const auto [rank, world_size] = parts.host.info();
  std::vector<double> values(2 * size);  // [|B|, 2]  pair, loss
  std::size_t place = 2 * (size * static_cast<std::size_t>(rank) / static_cast<std::size_t>(world_size));
  std::size_t b = 0;
  for (const PairBatch& micro_batch : batch.micro_batches) {
    for (const std::int64_t index : micro_batch.indices) {
      values[place++] = static_cast<double>(index);
      values[place++] = losses.loss_B[b++];
    }
  }
  parts.host.all_reduce_sum(values);
  std::vector<BatchLoss> gathered;
  if (rank != 0) return gathered;
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const auto pair = static_cast<std::int64_t>(values[i]);
    gathered.push_back({.pair = pair, .weight = pair_weight(parts, step, pair), .loss = values[i + 1]});
  }
  return gathered;
}

}  // namespace

StepResult train_step(StepParts& parts, std::int64_t step) {
  StepResult result{.sums = BatchSums(parts.group_pair_count_K.size()), .weight = {}, .phases = {}};
  Laps laps(result.phases);
  const RankBatch batch = rank_batch(parts, step);
  const auto& step_by = weights_precede_losses(parts.robust) ? step_before_report : step_after_report;
  RankLosses losses;
  step_by(parts, step, batch, result, losses, laps);
  if (parts.keeps_pair_losses) {
    result.pair_losses = gather_losses(parts, step, batch, losses);
    laps.end("group_sums");
  }
  return result;
}

}  // namespace equipoise
