#include "coordinator/job/live_settings.h"

#include <google/protobuf/util/field_mask_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/message_text.h"
#include "common/protocol/job_state.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/state_check.h"
#include "coordinator/job/training_jobs.h"
#include "coordinator/job/worker_calls.h"

namespace equipoise::coordinator {

std::vector<WeightChange> weight_changes(const SettingsChanges& changes) {
  std::vector<WeightChange> list;
  for (const std::int64_t step : steps_of_changes(changes)) {
    const v1::TrainingJobSettings settings = settings_from(changes, step);
    WeightChange change{.steps_done = step};
    if (settings.has_trade_off()) change.trade_off = settings.trade_off();
    if (settings.has_step_size()) change.step_size = settings.step_size();
    if (change.trade_off || change.step_size) list.push_back(change);
  }
  return list;
}

std::int64_t newest_version(const SettingsChanges& changes) {
  return changes.empty() ? 0 : changes.rbegin()->version();
}

bool take_effect(SettingsChanges& changes, std::int64_t steps_done, std::int64_t version) {
  bool has_any = false;
  for (v1::SettingsChange& change : changes) {
    if (change.has_effective_step() || change.version() > version) continue;
    change.set_effective_step(steps_done);
    has_any = true;
  }
  return has_any;
}

PlannedEnd planned_end(const JobConfig& config, std::int64_t steps) {
  const ScheduleType schedule = config.optimizer.schedule;
  if (schedule != ScheduleType::kLinear && schedule != ScheduleType::kCosine) return {.step = steps};
  return {.step = steps, .latest = steps};
}

namespace {

constexpr int kMostChanges = 1000;
constexpr int kHighestPriority = 1000;

// `settings` without what the mask leaves out. Throws std::invalid_argument where nothing is left.
v1::TrainingJobSettings asked_settings(const v1::UpdateTrainingJobRequest& request) {
  using google::protobuf::util::FieldMaskUtil;
  v1::TrainingJobSettings settings = request.settings();
  if (request.has_update_mask()) {
    for (const std::string& path : request.update_mask().paths()) {
      const auto* const field = v1::TrainingJobSettings::descriptor()->FindFieldByName(path);
      if (field == nullptr) {
        throw std::invalid_argument("update_mask has " + quoted_text(path) +
                                    ", expected trade_off, step_size, learning_rate, max_steps or priority");
      }
      if (v1::TrainingJobSettings::GetReflection()->HasField(settings, field)) continue;
      throw std::invalid_argument("settings." + path + " is absent, but update_mask has it");
    }
    FieldMaskUtil::TrimMessage(request.update_mask(), &settings);
  }
  const bool has_any = settings.has_trade_off() || settings.has_step_size() || settings.has_learning_rate() ||
                       settings.has_max_steps() || settings.has_priority();
  if (!has_any) throw std::invalid_argument("settings has none that is to be changed");
  return settings;
}

[[noreturn]] void refuse_setting(const v1::TrainingJob& job, const std::string& why) {
  const std::string& name = job.id().empty() ? job.spec().name() : job.id();  // a new one has no id yet
  throw Refusal(Refusal::Code::kFailedPrecondition, "job " + name + ": " + why);
}

// Of what the job does not have.
void check_kind(const v1::TrainingJobSettings& settings, const v1::TrainingJob& job, const JobConfig& config) {
  const RobustSettings& robust = config.robust.settings;
  const bool is_robust = robust.mode == RobustMode::kGroupRobust;
  if ((settings.has_trade_off() || settings.has_step_size()) && !is_robust) {
    refuse_setting(job, "trade_off and step_size are of robust.mode group_robust, and it has another");
  }
  if (settings.has_step_size() && robust.ambiguity_set != AmbiguitySet::kSimplex) {
    refuse_setting(job, "step_size has no use with its robust.ambiguity_set, whose weights have a closed form");
  }
  if (settings.has_learning_rate() && config.log_linear && config.log_linear->closed_form) {
    refuse_setting(job, "learning_rate has no use with policy.log_linear.closed_form");
  }
}

// As the ranges of a JobSpec.
void check_ranges(const v1::TrainingJobSettings& settings, v1::JobSpec spec) {
  if (settings.has_trade_off()) spec.mutable_robust()->set_trade_off(settings.trade_off());
  if (settings.has_step_size()) spec.mutable_robust()->set_step_size(settings.step_size());
  if (settings.has_learning_rate()) spec.mutable_optimizer()->set_learning_rate(settings.learning_rate());
  if (settings.has_max_steps()) spec.mutable_training()->set_max_steps(settings.max_steps());
  make_job_config(spec);
  const int priority = settings.priority();
  if (priority >= -kHighestPriority && priority <= kHighestPriority) return;
  throw std::invalid_argument("priority is " + std::to_string(priority) + ", expected " +
                              std::to_string(-kHighestPriority) + " to " + std::to_string(kHighestPriority));
}

void check_end(std::int64_t max_steps, const JobRecord& record) {
  if (max_steps <= record.job.step()) {
    throw std::invalid_argument("max_steps is " + std::to_string(max_steps) + ", expected more than the " +
                                std::to_string(record.job.step()) + " steps that are done");
  }
  if (!record.training) return;
  const PlannedEnd planned = planned_end(record.checked_config(), record.training->schedule_steps);
  if (max_steps <= planned.latest) return;
  throw std::invalid_argument("max_steps is " + std::to_string(max_steps) + ", expected at most " +
                              std::to_string(planned.latest) +
                              ": its optimizer.schedule is made for so many steps, and is 0 afterwards");
}

void check_may_change(const JobRecord& record, const v1::TrainingJobSettings& settings) {
  const v1::JobState state = record.intended().state;
  if (is_final(state) || state == v1::JOB_STATE_CANCELLING) {
    refuse_setting(record.job, "it is " + state_name(state) + ", so that no setting of it can be changed");
  }
  check_kind(settings, record.job, record.checked_config());
  check_ranges(settings, record.job.spec());
  if (settings.has_max_steps()) check_end(settings.max_steps(), record);
  if (record.job.settings_changes_size() < kMostChanges) return;
  throw Refusal(Refusal::Code::kResourceExhausted, "job " + record.job.id() + " has had " +
                                                       std::to_string(kMostChanges) +
                                                       " changes of settings, as many as there may be");
}

}  // namespace

void add_planned_changes(const v1::CreateTrainingJobRequest& request, const JobConfig& config,
                         const std::string& requester, v1::TrainingJob& job) {
  if (request.settings_changes_size() > kMostChanges) {
    throw std::invalid_argument("settings_changes has " + std::to_string(request.settings_changes_size()) +
                                ", expected at most " + std::to_string(kMostChanges));
  }
  std::int64_t version = newest_version(job.settings_changes());
  for (int i = 0; i < request.settings_changes_size(); ++i) {
    const v1::SettingsChange& planned = request.settings_changes(i);
    std::string place = "settings_changes[";
    place += std::to_string(i) + "]";
    if (planned.version() <= version) {
      throw std::invalid_argument(place + " has version " + std::to_string(planned.version()) +
                                  ", expected more than " + std::to_string(version));
    }
    if (!planned.has_effective_step() || planned.effective_step() < 0) {
      throw std::invalid_argument(place + " has no effective_step of at least 0");
    }
    if (planned.settings().has_priority() || planned.settings().ByteSizeLong() == 0) {
      throw std::invalid_argument(
          place + ".settings has " +
          (planned.settings().has_priority() ? "priority, which is no setting of a step" : "none that is to change"));
    }
    check_kind(planned.settings(), job, config);
    check_ranges(planned.settings(), job.spec());
    version = planned.version();
    v1::SettingsChange& change = *job.add_settings_changes();
    change.set_version(version);
    change.set_effective_step(planned.effective_step());
    *change.mutable_settings() = planned.settings();
    *change.mutable_create_time() = job.create_time();
    change.set_requester(requester);
    change.set_request_id(request.request_id());
  }
}

v1::TrainingJob TrainingJobs::change_settings(const v1::UpdateTrainingJobRequest& request,
                                              const std::string& requester) {
  JobRecord& record = table_.find(request.id());
  v1::TrainingJobSettings settings = asked_settings(request);
  check_may_change(record, settings);
  table_.check_room();
  v1::TrainingJob job = record.job;
  if (settings.has_priority()) job.set_priority(settings.priority());
  settings.clear_priority();  // of the queue, not of a step
  if (settings.ByteSizeLong() > 0) {
    v1::SettingsChange& change = *job.add_settings_changes();
    change.set_version(newest_version(record.job.settings_changes()) + 1);
    *change.mutable_settings() = settings;
    *change.mutable_create_time() = timestamp(table_.clock().wall());
    change.set_requester(requester);
    change.set_request_id(request.request_id());
  }
  std::string event = settings_text(asked_settings(request)) + " was asked for";
  if (!requester.empty()) event += " by " + quoted_text(requester);
  table_.replace(record, std::move(job), event);
  return record.job;
}

namespace {

// In one transaction, before anybody acts on it.
void put_into_force(JobTable& table, JobRecord& record, SettingsChanges changes, std::int64_t step) {
  table.check_room();
  const JobConfig& config = record.checked_config();
  const std::int64_t end_step = end_with(changes, planned_end(config, record.training->schedule_steps));
  v1::TrainingJob job = record.job;
  job.set_total_steps(end_step);
  *job.mutable_settings_changes() = std::move(changes);
  const std::string settings = settings_text(settings_from(job.settings_changes(), step));
  table.replace(record, std::move(job), settings + " holds from step " + std::to_string(step) + " on");
  record.training->weights.set_changes(weight_changes(record.job.settings_changes()));
  record.training->plan.end_step = end_step;
  set_time_left(record.job, *record.training);
  table.metrics().show_step(record.job);
  spdlog::info("job {}: settings of version {} hold from step {} on", record.job.id(),
               newest_version(record.job.settings_changes()), step);
}

}  // namespace

v1::ApplySettingsResponse WorkerCalls::apply_settings(const v1::ApplySettingsRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  check_not_cancelled(record.job);
  check_trains(record);
  const std::int64_t step = request.step(), done = record.training->weights.next_step();
  if (step < record.training->plan.first_step || step > done) {
    throw Refusal(Refusal::Code::kOutOfRange, "job " + record.job.id() + ": step is " + std::to_string(step) +
                                                  ", expected the " + std::to_string(done) +
                                                  " steps that are on record");
  }
  // One that comes late, after the answer to its repetition, finds nothing that waits up to its version.
  SettingsChanges changes = record.job.settings_changes();
  const bool may_move = step == done && step < record.training->plan.end_step;
  if (may_move && take_effect(changes, step, request.version())) {
    check_goes_on(record);
    put_into_force(table_, record, std::move(changes), step);
  }
  v1::ApplySettingsResponse response;
  for (const v1::SettingsChange& change : record.job.settings_changes()) {
    const bool is_asked = change.version() <= request.version() && change.has_effective_step();
    if (is_asked && change.effective_step() == step) *response.add_settings_changes() = change;
  }
  response.set_end_step(record.training->plan.end_step);
  return response;
}

}  // namespace equipoise::coordinator
