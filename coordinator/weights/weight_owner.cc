#include "coordinator/weights/weight_owner.h"

#include <span>
#include <utility>

#include "common/base/error.h"

namespace equipoise::coordinator {
namespace {

template <typename Numbers>
std::span<const double> span_of(const Numbers& numbers) {
  return {numbers.data(), static_cast<std::size_t>(numbers.size())};
}

}  // namespace

WeightOwner::WeightOwner(RobustSettings settings, GroupTable groups, double num_pairs)
    : groups_(std::move(groups)), weights_(std::move(settings), groups_.pair_count_K, num_pairs) {}

StepRecord WeightOwner::prepare(const v1::ReportStepRequest& request) const {
  const StepReport report = check_step_report(request, groups_.names);
  StepRecord record{.request = request,
                    .digest = step_digest(request),
                    .weight = std::vector<double>(report.sums.group.size()),
                    .log_alpha_K = {},
                    .group_loss_K = {}};
  record.request.clear_job_id();
  GroupWeights after = weights_;
  after.step(report.sums, report.non_finite_group, record.weight);
  record.log_alpha_K = after.log_alpha_K();
  record.group_loss_K = after.group_loss_K();
  return record;
}

void WeightOwner::accept(const StepRecord& record) {
  EQUIPOISE_CHECK(record.request.step() >= next_step_);
  weights_.restore(record.log_alpha_K, record.group_loss_K);
  next_step_ = record.request.step() + 1;
  if (!record.request.non_finite_group().empty()) return;
  weights_.observe(span_of(record.request.loss_sum()), span_of(record.request.pair_count()));
}

std::vector<double> WeightOwner::alpha_at(const std::vector<double>& log_alpha_K) const {
  GroupWeights then = weights_;
  then.restore(log_alpha_K, weights_.group_loss_K());
  return then.alpha_K();
}

}  // namespace equipoise::coordinator
