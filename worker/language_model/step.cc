#include "worker/language_model/step.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <utility>

#include "worker/language_model/objective_error.h"
#include "worker/objective/group_sums.h"

namespace equipoise {
namespace {

// Seconds since the last call, under a name.
class Laps {
 public:
  explicit Laps(std::vector<PhaseSeconds>& phases) : phases_(phases) {}
  void end(const char* phase) {
    const auto now = std::chrono::steady_clock::now();
    phases_.push_back({.phase = phase, .seconds = std::chrono::duration<double>(now - last_).count()});
    last_ = now;
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

// The owner of alpha is told 0 in place of a sum that is not finite, and of which groups it is.
std::vector<double> weights_of_step(StepParts& parts, std::int64_t step, const BatchSums& sums) {
  GroupSums group_sums = sums.group_sums();
  for (double& loss_sum : group_sums.loss_sum) {
    if (!std::isfinite(loss_sum)) loss_sum = 0;
  }
  const std::vector<std::uint32_t> non_finite = sums.non_finite_groups();
  std::vector<double> weight(group_sums.group.size());
  parts.weights.step({.step = step, .sums = group_sums, .non_finite = non_finite}, weight);
  return weight;
}

// c_i = v_i sum_g w_g m[i,g] scale_g of each pair of this rank, one micro-batch after the other; where their losses
// are.
torch::Tensor coefficients(const StepParts& parts, const RankLosses& losses, const StepResult& result,
                           const std::vector<double>& scale) {
  std::vector<double> c_B(losses.weight_B.size(), 1 / result.sums.pairs());
  if (parts.robust.mode != RobustMode::kNone) {
    c_B = pair_coefficients(losses.memberships_B, result.sums.group_sums(), result.weight, scale);
  }
  for (std::size_t b = 0; b < c_B.size(); ++b) c_B[b] *= losses.weight_B[b];
  return torch::tensor(c_B, torch::kFloat64).to(loss_options(parts.inputs.decoder));
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
  TokenNumbers token_numbers;  // of the first pass

  // The weights depend on every loss of the batch: with one micro-batch its graph is kept, with more of them the losses
  // come from a pass without graph and each micro-batch is computed again for its gradient.
  bool keeps_graph() const { return micro_batches.size() == 1; }
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

// Adds the losses of this rank's pairs to `sums` and `losses`; gives the last micro-batch's, with its graph where that
// is kept.
PairForward forward(StepParts& parts, const RankBatch& batch, BatchSums& sums, RankLosses& losses) {
  PairForward last;
  for (std::size_t m = 0; m < batch.micro_batches.size(); ++m) {
    const auto& indices = batch.micro_batches[m].indices;
    const torch::AutoGradMode grad_mode(batch.keeps_graph());
    last = forward_pairs(parts.inputs, batch.micro_batches[m], batch.loss_factor, batch.token_numbers);
    add_outcomes(parts.inputs, indices, last, batch.weights[m], sums);
    add_losses(parts.inputs, indices, last, batch.weights[m], losses);
  }
  return last;
}

// Everything that a step's line has besides means.
void measure_errors(StepParts& parts, const RankLosses& losses, const std::vector<double>& scale, StepResult& result) {
  result.sums.reduce_errors(parts.host);
  result.loss_error = objective_error(parts.robust, result.sums, result.loss, losses,
                                      {.weight = result.weight, .scale = scale}, parts.host);
}

// Leaves the gradient, summed over ranks, in the parameters. `c_B` are the coefficients of this rank's pairs, `loss_B`
// the losses whose graph was kept.
void backward(StepParts& parts, const RankBatch& batch, const torch::Tensor& c_B, torch::Tensor loss_B) {
  parts.gradients.zero();
  std::int64_t done = 0;
  for (std::size_t m = 0; m < batch.micro_batches.size(); ++m) {
    if (!batch.keeps_graph()) loss_B = forward_losses(parts.inputs, batch.micro_batches[m], batch.loss_factor);
    if (m + 1 == batch.micro_batches.size()) parts.gradients.sum_during_backward();
    (c_B.narrow(0, done, loss_B.size(0)) * loss_B).sum().backward();
    done += loss_B.size(0);
  }
  parts.gradients.finish();
}

}  // namespace

StepResult train_step(StepParts& parts, std::int64_t step) {
  StepResult result{.sums = BatchSums(parts.group_pair_count_K.size()), .weight = {}, .phases = {}};
  Laps laps(result.phases);
  const RankBatch batch = rank_batch(parts, step);
  RankLosses losses;
  PairForward kept = forward(parts, batch, result.sums, losses);
  laps.end("forward");
  result.sums.all_reduce(parts.host);
  laps.end("group_sums");
  result.weight = weights_of_step(parts, step, result.sums);
  laps.end("weight_update");
  if (!result.sums.non_finite_groups().empty()) {
    result.loss = result.sums.loss();
    result.skipped = true;
    return result;
  }
  const double num_pairs = parts.num_pairs > 0 ? parts.num_pairs : static_cast<double>(parts.inputs.pairs.size());
  const auto scale =
      estimator_scale(result.sums.group_sums(), parts.robust.estimator, parts.group_pair_count_K, num_pairs);
  result.loss = objective(parts, result, scale);
  if (is_logged(parts, step)) measure_errors(parts, losses, scale, result);
  backward(parts, batch, coefficients(parts, losses, result, scale), std::move(kept.loss_B));
  laps.end("backward");

  const OptimizerResult update = parts.optimizer.step(step);
  result.grad_norm = update.grad_norm;
  result.learning_rate = update.learning_rate;
  result.skipped = !std::isfinite(update.grad_norm);
  laps.end("optimizer");
  return result;
}

}  // namespace equipoise
