#include "coordinator/job/job_progress.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "common/base/quoted_text.h"
#include "coordinator/sharding/plan_maker.h"

namespace equipoise::coordinator {
namespace {

constexpr int kMostConditions = 16;
constexpr std::size_t kMostPhases = 32;
constexpr std::size_t kLongestPhaseName = 64;
constexpr double kNanosPerSecond = 1e9;
constexpr double kLongestTimeLeft = 1e9;  // seconds: 30 years, far inside what a Duration holds

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

void apply_group(v1::GroupStatus& status, const v1::GroupMetrics& group, const v1::ReportMetricsRequest& request) {
  const bool has_loss = group.has_loss() && std::isfinite(group.loss());
  const bool has_accuracy = group.has_reward_accuracy() && std::isfinite(group.reward_accuracy());
  if (request.split() == v1::SPLIT_TRAIN) {
    if (has_loss) status.set_train_loss(group.loss());
    if (has_accuracy) status.set_train_reward_accuracy(group.reward_accuracy());
    return;
  }
  // A group whose validation loss is no number any more is the worst off: that must be seen.
  if (group.has_loss()) status.set_validation_loss(group.loss());
  if (has_accuracy) status.set_validation_reward_accuracy(group.reward_accuracy());
  if (request.step() != 0) return;
  if (group.has_loss()) status.set_initial_validation_loss(group.loss());
  if (has_accuracy) status.set_initial_validation_reward_accuracy(group.reward_accuracy());
}

void check_file(const v1::ReportMetricsRequest& request, const DataConfig& data) {
  if (request.file().empty()) return;
  if (request.split() != v1::SPLIT_VALIDATION) refuse("file is given for another split than SPLIT_VALIDATION");
  for (const DataFile& file : validation_files(data)) {
    if (file.name == request.file()) return;
  }
  refuse("file is " + quoted_text(request.file()) + ", expected the name of one of data.validation_files");
}

}  // namespace

void set_groups(v1::TrainingJob& job, const GroupTable& groups, const std::vector<double>& alpha_K) {
  job.clear_groups();
  for (std::size_t g = 0; g < groups.names.size(); ++g) {
    v1::GroupStatus& status = *job.add_groups();
    status.set_name(groups.names[g]);
    status.set_pair_count(groups.pair_count_K[g]);
    status.set_weight(alpha_K[g]);
  }
}

void set_weights(v1::TrainingJob& job, const std::vector<double>& alpha_K) {
  for (int g = 0; g < job.groups_size(); ++g) job.mutable_groups(g)->set_weight(alpha_K[static_cast<std::size_t>(g)]);
}

void check_metrics(const v1::ReportMetricsRequest& request, const v1::TrainingJob& job, const DataConfig& data) {
  if (request.split() != v1::SPLIT_TRAIN && request.split() != v1::SPLIT_VALIDATION) {
    refuse("split is " + std::to_string(request.split()) + ", expected SPLIT_TRAIN or SPLIT_VALIDATION");
  }
  check_file(request, data);
  if (request.step() < 0 || request.step() > job.total_steps()) {
    refuse("step is " + std::to_string(request.step()) + ", expected 0 to " + std::to_string(job.total_steps()));
  }
  for (int i = 0; i < request.groups_size(); ++i) {
    if (request.groups(i).group() < static_cast<std::uint32_t>(job.groups_size())) continue;
    refuse("groups[" + std::to_string(i) + "].group is " + std::to_string(request.groups(i).group()) +
           ", expected a group id below " + std::to_string(job.groups_size()));
  }
  if (request.pairs_total() < 0) refuse("pairs_total is " + std::to_string(request.pairs_total()) + ", expected >= 0");
  if (request.tokens_total() < 0)
    refuse("tokens_total is " + std::to_string(request.tokens_total()) + ", expected >= 0");
  if (request.phase_seconds().size() > kMostPhases) {
    refuse("phase_seconds has " + std::to_string(request.phase_seconds().size()) + " phases, expected at most " +
           std::to_string(kMostPhases));
  }
  for (const auto& [phase, seconds] : request.phase_seconds()) {
    if (phase.empty() || phase.size() > kLongestPhaseName) refuse("phase_seconds has a name that is not 1 to 64 bytes");
  }
}

void apply_metrics(v1::TrainingJob& job, const v1::ReportMetricsRequest& request) {
  if (!request.file().empty()) return;  // a part of the validation pairs: the job shows all of them
  for (const auto& group : request.groups()) {
    apply_group(*job.mutable_groups(static_cast<int>(group.group())), group, request);
  }
  if (request.split() != v1::SPLIT_TRAIN) return;
  if (std::isfinite(request.loss())) job.set_loss(request.loss());
  if (std::isfinite(request.pairs_per_second()) && request.pairs_per_second() >= 0) {
    job.set_pairs_per_second(request.pairs_per_second());
  }
}

void set_time_left(v1::TrainingJob& job, const ShardPlan& plan) {
  job.clear_time_left();
  if (!(job.pairs_per_second() > 0)) return;
  const auto pairs_left = static_cast<double>(pairs_done(plan, plan.end_step) - pairs_done(plan, job.step()));
  const double seconds = std::min(pairs_left / job.pairs_per_second(), kLongestTimeLeft);
  const double whole = std::floor(seconds);
  job.mutable_time_left()->set_seconds(static_cast<std::int64_t>(whole));
  job.mutable_time_left()->set_nanos(static_cast<std::int32_t>((seconds - whole) * kNanosPerSecond));
}

void add_condition(v1::TrainingJob& job, std::string sentence) {
  if (job.conditions_size() == kMostConditions) job.mutable_conditions()->DeleteSubrange(0, 1);
  job.add_conditions(std::move(sentence));
}

}  // namespace equipoise::coordinator
