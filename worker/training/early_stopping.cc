#include "worker/training/early_stopping.h"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

[[noreturn]] void refuse_metric(const std::string& metric, const EvaluationNumbers& numbers) {
  std::string names;
  for (const auto& [name, value] : numbers) {
    names += (names.empty() ? "" : ", ") + name;
  }
  throw std::invalid_argument("training.early_stopping.metric is " + quoted_text(metric) +
                              ", expected one of: " + names);
}

EvaluationNumbers::const_iterator find_metric(const std::string& metric, const EvaluationNumbers& numbers) {
  const auto found = numbers.find(metric);
  if (found != numbers.end() || !metric.starts_with(metrics_schema::kEvalPrefix)) return found;
  return numbers.find(metric.substr(metrics_schema::kEvalPrefix.size()));
}

// As it travels from rank 0 to the others.
struct Message {
  double worst_group_loss;
  double best;
  std::int64_t best_step;
  std::int32_t is_best;
  std::int32_t stops;
};

}  // namespace

void check_metric(const EarlyStoppingConfig& config, const EvaluationNumbers& numbers) {
  if (find_metric(config.metric, numbers) == numbers.end()) refuse_metric(config.metric, numbers);
}

bool EarlyStopping::observe(std::int64_t steps_done, const EvaluationNumbers& numbers) {
  if (!state_.has_seen) check_metric(config_, numbers);
  state_.has_seen = true;
  const auto found = find_metric(config_.metric, numbers);
  const double value = found != numbers.end() ? found->second : std::numeric_limits<double>::quiet_NaN();
  const bool is_below = value < state_.best - config_.min_delta;
  const bool is_above = value > state_.best + config_.min_delta;
  const bool is_better =
      std::isfinite(value) && (!state_.has_best || (config_.mode == StopMode::kMin ? is_below : is_above));
  if (!is_better) {
    ++state_.waited;
    return false;
  }
  state_ = {.has_seen = true, .has_best = true, .best = value, .best_step = steps_done, .waited = 0};
  return true;
}

v1::EarlyStop EarlyStopping::best() const {
  v1::EarlyStop best;
  best.set_metric(config_.metric);
  best.set_best_step(state_.best_step);
  best.set_best(state_.best);
  return best;
}

EvaluationWatch::EvaluationWatch(const std::optional<EarlyStoppingConfig>& config, HostCollective& host) : host_(host) {
  if (config) early_stopping_.emplace(*config);
}

EvaluationVerdict EvaluationWatch::judge(std::int64_t steps_done, const EvaluationNumbers& numbers) {
  EvaluationVerdict verdict;
  if (host_.info().rank == 0) {
    const auto worst = numbers.find(std::string(metrics_schema::kWorstGroupLoss.name));
    verdict.worst_group_loss = worst != numbers.end() ? worst->second : std::numeric_limits<double>::quiet_NaN();
    if (early_stopping_) verdict.is_best = early_stopping_->observe(steps_done, numbers);
  }
  verdict.stop = share(verdict);
  return verdict;
}

std::optional<v1::EarlyStop> EvaluationWatch::stop() {
  EvaluationVerdict verdict;
  return share(verdict);
}

// Rank 0's verdict becomes everybody's.
std::optional<v1::EarlyStop> EvaluationWatch::share(EvaluationVerdict& verdict) {
  Message message{};
  if (host_.info().rank == 0) {
    message.worst_group_loss = verdict.worst_group_loss;
    message.is_best = verdict.is_best ? 1 : 0;
    if (early_stopping_) {
      message.stops = early_stopping_->should_stop() ? 1 : 0;
      message.best = early_stopping_->best().best();
      message.best_step = early_stopping_->best().best_step();
    }
  }
  host_.broadcast(std::as_writable_bytes(std::span(&message, 1)), 0);
  verdict.worst_group_loss = message.worst_group_loss;
  verdict.is_best = message.is_best != 0;
  if (message.stops == 0) return std::nullopt;
  v1::EarlyStop stop = early_stopping_->best();
  stop.set_best(message.best);
  stop.set_best_step(message.best_step);
  return stop;
}

CheckpointJson EvaluationWatch::state() const {
  if (!early_stopping_) return nullptr;
  const EarlyStopping::State& state = early_stopping_->state();
  return {{"has_seen", state.has_seen},
          {"has_best", state.has_best},
          {"best", json_of(state.best)},
          {"best_step", state.best_step},
          {"waited", state.waited}};
}

void EvaluationWatch::restore(const CheckpointJson& state) {
  if (!early_stopping_) return;
  early_stopping_->restore({.has_seen = flag_at(state, "has_seen"),
                            .has_best = flag_at(state, "has_best"),
                            .best = double_at(state, "best"),
                            .best_step = integer_at(state, "best_step"),
                            .waited = integer_at(state, "waited")});
}

}  // namespace equipoise
