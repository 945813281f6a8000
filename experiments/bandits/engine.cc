#include "experiments/bandits/engine.h"

#include <stdexcept>
#include <utility>

namespace equipoise::log_linear {
namespace {

RankPairs pairs_of(const PairMatrix& matrix, const EngineSettings& settings, RankInfo rank) {
  if (settings.batch_pairs == 0) throw std::invalid_argument("batch_pairs is 0, expected at least 1");
  if (settings.sampling == Sampling::kFullBatch) return {matrix, rank};
  return {matrix, rank, OneGroupBatches{.seed = settings.seed, .batch_pairs = settings.batch_pairs}};
}

StepSettings step_settings(const PairMatrix& matrix, const EngineSettings& settings) {
  return {.loss_K = std::vector<LossSettings>(matrix.groups, settings.loss),
          .robust = settings.robust,
          .theta = settings.theta,
          .pair_count_K = {},
          .num_pairs = 0};
}

}  // namespace

Engine::Engine(PairMatrix matrix, std::vector<double> initial_theta_D, EngineSettings settings)
    : Engine(std::move(matrix), std::move(initial_theta_D), std::move(settings), std::make_unique<SingleRank>()) {}

Engine::Engine(PairMatrix matrix, std::vector<double> initial_theta_D, EngineSettings settings, HostCollective& host)
    : matrix_(std::make_unique<const PairMatrix>(std::move(matrix))),
      host_(&host),
      mode_(settings.robust.mode),
      weights_(GroupWeights(settings.robust, matrix_->group_counts(), static_cast<double>(matrix_->pairs()))),
      pairs_(pairs_of(*matrix_, settings, host.info())),
      step_(step_settings(*matrix_, settings), *matrix_, std::move(initial_theta_D), host),
      average_weight_K_(matrix_->groups, 0.0) {}

Engine::Engine(PairMatrix matrix, std::vector<double> initial_theta_D, EngineSettings settings,
               std::unique_ptr<HostCollective> own_host)
    : Engine(std::move(matrix), std::move(initial_theta_D), std::move(settings), *own_host) {
  own_host_ = std::move(own_host);
}

void Engine::step() {
  step_.run(steps_, {.pairs = pairs_, .host = *host_, .weights = weights_});
  ++steps_;
  if (step_.skipped()) {
    ++skipped_steps_;
    return;
  }
  average_weights();
}

void Engine::run(std::int64_t steps) {
  for (std::int64_t i = 0; i < steps; ++i) step();
}

void Engine::average_weights() {
  const double share = 1 / static_cast<double>(step_.theta().steps());
  const std::span<const double> weight = step_.weight();
  const bool all_present = weight.size() == average_weight_K_.size();
  for (std::size_t g = 0; g < average_weight_K_.size(); ++g) {
    const double weight_g = all_present ? weight[g] : weights_.weights().gradient_weight(g);
    average_weight_K_[g] += (weight_g - average_weight_K_[g]) * share;
  }
}

std::vector<double> Engine::alpha_K() const {
  if (mode_ != RobustMode::kNone) return weights_.weights().alpha_K();
  return std::vector<double>(matrix_->groups, 1 / static_cast<double>(matrix_->groups));
}

}  // namespace equipoise::log_linear
