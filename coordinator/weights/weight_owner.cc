#include "coordinator/weights/weight_owner.h"

#include <algorithm>
#include <utility>

#include "common/base/error.h"

namespace equipoise::coordinator {
namespace {

double largest_mean_loss(const v1::ReportStepRequest& request) {
  double largest = 0;  // no loss is negative
  for (int i = 0; i < request.group_size(); ++i) {
    largest = std::max(largest, request.loss_sum(i) / request.pair_count(i));
  }
  return largest;
}

}  // namespace

WeightOwner::WeightOwner(RobustSettings settings, GroupTable groups, double num_pairs,
                         log_linear::PlateauSettings plateau)
    : groups_(std::move(groups)),
      weights_(settings, groups_.pair_count_K, num_pairs),
      schedule_("robust.step_size", settings.step_size, plateau) {}

StepRecord WeightOwner::prepare(const v1::ReportStepRequest& request) const {
  const StepReport report = check_step_report(request, groups_.names);
  StepRecord record{.request = request,
                    .digest = step_digest(request),
                    .weight = {},
                    .log_alpha_K = weights_.log_alpha_K(),
                    .group_loss_K = weights_.group_loss_K()};
  record.request.clear_job_id();
  if (!report.non_finite_group.empty()) {
    for (const std::uint32_t group : report.sums.group) record.weight.push_back(weights_.gradient_weight(group));
    return record;
  }
  GroupWeights after = weights_;
  record.weight = after.step(report.sums);
  record.log_alpha_K = after.log_alpha_K();
  record.group_loss_K = after.group_loss_K();
  return record;
}

void WeightOwner::accept(const StepRecord& record) {
  EQUIPOISE_CHECK(record.request.step() >= next_step_);
  weights_.restore(record.log_alpha_K, record.group_loss_K);
  next_step_ = record.request.step() + 1;
  if (!record.request.non_finite_group().empty()) return;
  schedule_.observe(largest_mean_loss(record.request));
  weights_.set_step_size(schedule_.step_size());
}

std::vector<double> WeightOwner::alpha_at(const std::vector<double>& log_alpha_K) const {
  GroupWeights then = weights_;
  then.restore(log_alpha_K, weights_.group_loss_K());
  return then.alpha_K();
}

}  // namespace equipoise::coordinator
