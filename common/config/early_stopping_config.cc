#include "common/config/early_stopping_config.h"

#include "common/base/quoted_text.h"
#include "common/config/field_check.h"
#include "common/config/set_enum.h"

namespace equipoise {
namespace {

constexpr std::size_t kLongestMetric = 512;

std::string checked_metric(const std::string& metric) {
  const std::string field = "training.early_stopping.metric";
  if (metric.empty()) {
    refuse_combination(field + " is missing, expected a number of the validation lines such as worst_group_loss");
  }
  if (metric.size() > kLongestMetric) {
    refuse_field(field, "a name of " + std::to_string(metric.size()) + " bytes",
                 "at most " + std::to_string(kLongestMetric));
  }
  return metric;
}

}  // namespace

std::optional<EarlyStoppingConfig> early_stopping_config(const v1::TrainingSpec& training) {
  if (!training.has_early_stopping()) return std::nullopt;
  const v1::EarlyStoppingSpec& spec = training.early_stopping();
  const std::string section = "training.early_stopping.";
  EarlyStoppingConfig config{.metric = checked_metric(spec.metric())};
  set_enum(config.mode, section + "mode", spec.mode(), v1::StopMode_descriptor());
  if (spec.mode() == v1::STOP_MODE_UNSPECIFIED) {
    refuse_combination(section + "mode is missing, expected " + short_enum_names(*v1::StopMode_descriptor()));
  }
  if (spec.has_patience()) config.patience = checked_integer(section + "patience", spec.patience(), {1, kMaxSteps});
  if (spec.has_min_delta()) config.min_delta = checked_real(section + "min_delta", spec.min_delta(), kNotNegative);
  config.keep_best = spec.keep_best();
  return config;
}

void check_early_stopping_combinations(const JobConfig& config) {
  if (!config.training.early_stopping || config.evaluation_every_steps > 0) return;
  refuse_combination("training.early_stopping needs evaluation.every_steps; add it");
}

void resolve_early_stopping(const EarlyStoppingConfig& config, v1::EarlyStoppingSpec& spec) {
  spec.set_metric(config.metric);
  spec.set_mode(message_enum<v1::StopMode>(config.mode));
  spec.set_patience(config.patience);
  spec.set_min_delta(config.min_delta);
  spec.set_keep_best(config.keep_best);
}

}  // namespace equipoise
