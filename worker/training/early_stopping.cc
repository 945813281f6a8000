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
  if (!has_seen_) check_metric(config_, numbers);
  has_seen_ = true;
  const auto found = find_metric(config_.metric, numbers);
  const double value = found != numbers.end() ? found->second : std::numeric_limits<double>::quiet_NaN();
  const bool is_below = value<best_ - config_.min_delta, is_above = value> best_ + config_.min_delta;
  const bool is_better = std::isfinite(value) && (!has_best_ || (config_.mode == StopMode::kMin ? is_below : is_above));
  if (!is_better) {
    ++waited_;
    return false;
  }
  has_best_ = true;
  best_ = value;
  best_step_ = steps_done;
  waited_ = 0;
  return true;
}

v1::EarlyStop EarlyStopping::best() const {
  v1::EarlyStop best;
  best.set_metric(config_.metric);
  best.set_best_step(best_step_);
  best.set_best(best_);
  return best;
}

EvaluationWatch::EvaluationWatch(const std::optional<EarlyStoppingConfig>& config, HostCollective& host) : host_(host) {
  if (config) early_stopping_.emplace(*config);
}

EvaluationVerdict EvaluationWatch::judge(std::int64_t steps_done, const EvaluationNumbers& numbers) {
  Message message{};
  if (host_.info().rank == 0) {
    const auto worst = numbers.find(std::string(metrics_schema::kWorstGroupLoss.name));
    message.worst_group_loss = worst != numbers.end() ? worst->second : std::numeric_limits<double>::quiet_NaN();
    if (early_stopping_) {
      message.is_best = early_stopping_->observe(steps_done, numbers) ? 1 : 0;
      message.stops = early_stopping_->should_stop() ? 1 : 0;
      message.best = early_stopping_->best().best();
      message.best_step = early_stopping_->best().best_step();
    }
  }
  host_.broadcast(std::as_writable_bytes(std::span(&message, 1)), 0);
  EvaluationVerdict verdict{.worst_group_loss = message.worst_group_loss, .is_best = message.is_best != 0, .stop = {}};
  if (message.stops == 0) return verdict;
  v1::EarlyStop stop = early_stopping_->best();
  stop.set_best(message.best);
  stop.set_best_step(message.best_step);
  verdict.stop = std::move(stop);
  return verdict;
}

}  // namespace equipoise
