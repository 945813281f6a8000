#include "coordinator/weights/weight_owner.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"

namespace equipoise::coordinator {
namespace {

RobustSettings frozen(RobustSettings settings) {
  settings.step_size = 0;
  settings.update = WeightUpdate::kAfterGradient;
  return settings;
}

double largest_mean_loss(const v1::ReportStepRequest& request) {
  double largest = 0;  // no loss is negative
  for (int i = 0; i < request.group_size(); ++i) {
    largest = std::max(largest, request.loss_sum(i) / request.pair_count(i));
  }
  return largest;
}

}  // namespace

WeightOwner::WeightOwner(RobustSettings settings, GroupTable groups, std::int64_t num_pairs,
                         log_linear::PlateauSettings plateau)
    : groups_(std::move(groups)),
      weights_(settings, groups_.pair_count_K, static_cast<double>(num_pairs)),
      schedule_("robust.step_size", settings.step_size, plateau),
      frozen_(frozen(settings), groups_.pair_count_K, static_cast<double>(num_pairs)) {}

StepRecord WeightOwner::prepare(const v1::ReportStepRequest& request) const {
  const StepReport report = check_step_report(request, groups_.names);
  StepRecord record{
      .request = request, .digest = step_digest(request), .weight = {}, .log_alpha_K = weights_.log_alpha_K()};
  record.request.clear_job_id();
  const bool is_skipped = !report.non_finite_group.empty();
  GroupWeights after = is_skipped ? frozen_ : weights_;
  if (is_skipped) after.restore(weights_.log_alpha_K());
  record.weight = after.step(report.sums);
  if (!is_skipped) record.log_alpha_K = after.log_alpha_K();
  return record;
}

void WeightOwner::accept(const StepRecord& record) {
  EQUIPOISE_CHECK(record.request.step() >= next_step_);
  weights_.restore(record.log_alpha_K);
  next_step_ = record.request.step() + 1;
  if (!record.request.non_finite_group().empty()) return;
  schedule_.observe(largest_mean_loss(record.request));
  weights_.set_step_size(schedule_.step_size());
}

std::vector<double> WeightOwner::alpha_at(const std::vector<double>& log_alpha_K) const {
  GroupWeights then = weights_;
  then.restore(log_alpha_K);
  return then.alpha_K();
}

RobustSettings robust_settings_for(const RobustSettings& settings,
                                   const std::map<std::string, double>& importance_weights,
                                   const std::vector<std::string>& group_names) {
  RobustSettings complete = settings;
  if (importance_weights.empty()) return complete;
  complete.importance_weight_K.clear();
  for (const auto& name : group_names) {
    const auto weight = importance_weights.find(name);
    if (weight == importance_weights.end()) {
      throw std::invalid_argument("robust.importance_weights has no weight for group \"" + name +
                                  "\", expected one for each group of the training data");
    }
    complete.importance_weight_K.push_back(weight->second);
  }
  for (const auto& [name, weight] : importance_weights) {
    if (std::ranges::find(group_names, name) != group_names.end()) continue;
    throw std::invalid_argument("robust.importance_weights names group \"" + name +
                                "\", which the training data does not have");
  }
  return complete;
}

}  // namespace equipoise::coordinator
