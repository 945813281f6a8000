#include "coordinator/job/worker_calls.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/base/message_text.h"
#include "common/protocol/heartbeat_limits.h"
#include "common/protocol/report_limits.h"
#include "coordinator/job/job_progress.h"
#include "coordinator/job/live_settings.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/state_check.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kLongestPhase = 64;
constexpr std::size_t kLongestCollective = 64;
constexpr std::size_t kLongestPauseFailure = 1024;
constexpr std::chrono::seconds kTimeBetweenTries{60};  // of ours to make ranks leave
constexpr int kMostNamedGroups = 8;
constexpr std::size_t kLongestNamedGroup = 80;

v1::ReportStepResponse answer_of(const StepRecord& record, const std::vector<double>& alpha_K) {
  v1::ReportStepResponse response;
  response.set_step(record.request.step());
  response.mutable_weight()->Add(record.weight.begin(), record.weight.end());
  response.mutable_alpha()->Add(alpha_K.begin(), alpha_K.end());
  return response;
}

void check_size(const char* field, const std::string& text, std::size_t longest) {
  if (text.size() <= longest) return;
  throw std::invalid_argument(std::string(field) + " has " + std::to_string(text.size()) + " bytes, expected at most " +
                              std::to_string(longest));
}

// A phase that this program does not know is none that it could have a deadline for.
RankReport report_of(const v1::HeartbeatRequest& request) {
  const bool is_known = v1::RankPhase_IsValid(request.rank_phase());
  return {.phase = is_known ? request.rank_phase() : v1::RANK_PHASE_UNSPECIFIED,
          .step = std::max<std::int64_t>(request.step(), 0),
          .progress = request.progress(),
          .last_collective = one_line(request.last_collective(), kLongestCollective),
          .is_in_collective = request.is_in_collective()};
}

constexpr std::string_view kSkipped = " was skipped: ";

std::string sentence_of_skip(const v1::TrainingJob& job, const v1::ReportStepRequest& request) {
  const int named = std::min(request.non_finite_group_size(), kMostNamedGroups);
  std::string text = "step " + std::to_string(request.step()) + std::string(kSkipped) + "the loss of group";
  for (int i = 0; i < named; ++i) {
    const std::string& name = job.groups(static_cast<int>(request.non_finite_group(i))).name();
    text += (i == 0 ? " \"" : ", \"") + one_line(name, kLongestNamedGroup) + "\"";
  }
  const int others = request.non_finite_group_size() - named;
  return text + (others > 0 ? " and of " + std::to_string(others) + " others" : "") + " was not finite";
}

// num_groups  of the job; 1 where its weights are not in memory, and so only steps on record are asked for
void check_steps_follow(const v1::ReportStepsRequest& request, std::size_t num_groups) {
  const std::size_t most = most_reported_steps(num_groups);
  if (request.steps().empty() || static_cast<std::size_t>(request.steps_size()) > most) {
    throw std::invalid_argument("steps has " + std::to_string(request.steps_size()) + " steps, expected 1 to " +
                                std::to_string(most) +
                                (num_groups > 1 ? " with " + std::to_string(num_groups) + " groups" : ""));
  }
  for (int i = 1; i < request.steps_size(); ++i) {
    const std::int64_t wanted = request.steps(i - 1).step() + 1;
    if (request.steps(i).step() == wanted) continue;
    throw std::invalid_argument("steps[" + std::to_string(i) + "].step is " + std::to_string(request.steps(i).step()) +
                                ", expected " + std::to_string(wanted));
  }
}

void check_is_next(const JobRecord& record, std::int64_t step, const WeightOwner& weights) {
  const std::int64_t end_step = record.training->end_step();
  if (step == weights.next_step() && step < end_step) return;
  const std::string expected = weights.next_step() < end_step
                                   ? "expected " + std::to_string(weights.next_step())
                                   : "expected none after the last of " + std::to_string(end_step);
  throw Refusal(Refusal::Code::kOutOfRange,
                "job " + record.job.id() + ": step is " + std::to_string(step) + ", " + expected);
}

WeightOwner weights_to_move(const JobRecord& record) {
  check_trains(record);
  return record.training->weights;
}

}  // namespace

JobRecord& WorkerCalls::fenced(const std::string& job_id, std::int64_t generation) {
  JobRecord& record = table_.find(job_id);
  check_generation(record.job, generation);
  return record;
}

v1::ReportStepResponse WorkerCalls::report_step(const v1::ReportStepRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  check_not_cancelled(record.job);
  std::optional<StepHistory> history;
  if (const auto known = known_step(record, request, history)) return answer_of(*known, history->alpha_after(*known));
  check_trains(record);
  const SteadyTime begin = table_.clock().now();
  WeightOwner& weights = record.training->weights;
  check_is_next(record, request.step(), weights);
  const StepRecord step = weights.prepare(request);
  check_goes_on(record);
  table_.check_room();
  table_.store().insert_step({.job_id = request.job_id(), .generation = request.generation(), .step = request.step()},
                             step);
  weights.accept(step);
  observe_updates(record, begin, 1);
  note_skip(record, step.request);
  bound_history(record, 1);
  show_steps(record, {&step, 1});
  return answer_of(step, weights.alpha_K());
}

v1::ReportStepsResponse WorkerCalls::report_steps(const v1::ReportStepsRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  check_not_cancelled(record.job);
  check_steps_follow(request, record.training ? record.training->weights.groups().names.size() : 1);
  v1::ReportStepsResponse response;
  std::vector<StepRecord> fresh;
  std::optional<WeightOwner> ahead;  // the weights as they will be
  std::optional<StepHistory> history;
  const SteadyTime begin = table_.clock().now();
  for (v1::ReportStepRequest step : request.steps()) {
    step.set_job_id(request.job_id());
    step.set_generation(request.generation());
    std::optional<StepRecord> answer;
    if (!ahead) answer = known_step(record, step, history);
    if (!answer) {
      if (!ahead) ahead = weights_to_move(record);
      check_is_next(record, step.step(), *ahead);
      answer = fresh.emplace_back(ahead->prepare(step));
      ahead->accept(*answer);
    }
    response.mutable_weight()->Add(answer->weight.begin(), answer->weight.end());
  }
  if (fresh.empty()) return response;
  check_goes_on(record);
  table_.check_room();
  table_.store().insert_steps(request.job_id(), request.generation(), fresh);
  record.training->weights = std::move(*ahead);
  observe_updates(record, begin, fresh.size());
  for (const StepRecord& step : fresh) note_skip(record, step.request);
  bound_history(record, fresh.size());
  show_steps(record, fresh);
  return response;
}

std::optional<StepRecord> WorkerCalls::known_step(const JobRecord& record, const v1::ReportStepRequest& request,
                                                  std::optional<StepHistory>& history) {
  // A job that a restart has ended has no training in memory, but its steps are on record all the same.
  const bool may_be_known = !record.training || request.step() < record.training->weights.next_step();
  if (!may_be_known) return std::nullopt;
  const auto known =
      table_.store().step({.job_id = request.job_id(), .generation = request.generation(), .step = request.step()});
  if (!known) return std::nullopt;
  if (known->digest != step_digest(request)) {
    throw Refusal(Refusal::Code::kAborted, "job " + request.job_id() + ": step " + std::to_string(request.step()) +
                                               " is on record with other numbers than these");
  }
  if (!history) {
    history.emplace(table_.store(), record.checked_config(), request.job_id(), record.job.settings_changes());
  }
  return history->step(request.generation(), request.step());
}

// Of checkpoints only as many are there as the job keeps, whether or not the deletion of older ones was told.
std::int64_t WorkerCalls::first_step_to_keep(const JobRecord& record) {
  constexpr std::int64_t kKeptWithoutCheckpoint = 65'536;
  const WeightOwner& weights = record.training->weights;
  const auto reported = static_cast<std::int64_t>(most_reported_steps(weights.groups().names.size()));
  const auto checkpoints =
      table_.store().kept_checkpoints(record.job.id(), std::max(1, record.checked_config().checkpoint.keep));
  if (checkpoints.empty()) return weights.next_step() - std::max(reported, kKeptWithoutCheckpoint);
  return std::min(weights.next_step() - reported, checkpoints.back().step);
}

// What is needed of it stays: the steps that a checkpoint goes on from, and those that a rank may report again.
void WorkerCalls::bound_history(JobRecord& record, std::size_t added) {
  constexpr double kWarned = 0.8;
  constexpr std::int64_t kMiB = 1 << 20;
  StepRows& rows = table_.store().step_rows();
  const std::int64_t bytes = rows.extent(record.job.id()).bytes;
  if (static_cast<double>(bytes) < kWarned * static_cast<double>(most_history_bytes_)) return;
  const std::string sentence =
      "the history of its steps takes 80 % of the " + std::to_string(most_history_bytes_ / kMiB) +
      " MiB that it may (--max-history): beyond that one step in 16 of the oldest stays; export it now if you need all";
  if (std::ranges::find(record.job.conditions(), sentence) == record.job.conditions().end()) {
    add_condition(record.job, sentence);
    spdlog::warn("job {}: {}", record.job.id(), sentence);
  }
  if (bytes <= most_history_bytes_) return;
  const std::int64_t keep_from = first_step_to_keep(record);
  constexpr std::size_t kAddedPerPiece = 512;
  try {
    for (std::size_t piece = 0; piece <= added / kAddedPerPiece; ++piece) {
      const bool may_be_left = rows.thin(record.job.id(), keep_from);
      if (!may_be_left || rows.extent(record.job.id()).bytes <= most_history_bytes_) return;
    }
  } catch (const StoreError& error) {  // the step is stored, and that is what was asked
    spdlog::warn("job {}: its history could not be thinned: {}", record.job.id(), error.what());
  }
}

// Each step counts the mean of those that came with it.
void WorkerCalls::observe_updates(const JobRecord& record, SteadyTime begin, std::size_t steps) {
  const std::chrono::duration<double> taken = table_.clock().now() - begin;
  for (std::size_t i = 0; i < steps; ++i) {
    table_.metrics().observe_weight_update(record.job.id(), taken.count() / static_cast<double>(steps));
  }
}

void WorkerCalls::note_skip(JobRecord& record, const v1::ReportStepRequest& request) {
  if (request.non_finite_group().empty()) return;
  add_recurring_condition(record.job, sentence_of_skip(record.job, request), kSkipped);
  table_.metrics().count_skipped(record.job, request);
}

namespace {

StepOutcome outcome_of(const JobRecord& record, const v1::ReportStepRequest& request) {
  if (!request.non_finite_group().empty()) return StepOutcome::kSkipped;
  return request.step() < record.most_steps ? StepOutcome::kRepeated : StepOutcome::kCounted;
}

}  // namespace

void WorkerCalls::show_steps(JobRecord& record, std::span<const StepRecord> steps) {
  const auto taken = record.step_times.reported(table_.clock().now());
  const auto taken_each = taken ? std::optional(*taken / static_cast<int>(steps.size())) : std::nullopt;
  const WallTime time = table_.clock().wall();
  for (const StepRecord& step : steps) {
    table_.metrics().count_step(record.job.id(), outcome_of(record, step.request), taken_each, time);
  }
  record.job.set_step(steps.back().request.step() + 1);
  record.most_steps = std::max(record.most_steps, record.job.step());
  set_weights(record.job, record.training->weights.alpha_K());
  set_time_left(record.job, *record.training);
  table_.bump_revision(record);
  table_.metrics().show_step(record.job);
}

namespace {

// Whether it is an evaluation that the job would not have made of itself.
bool was_asked_for(const JobRecord& record, const v1::ReportMetricsRequest& request) {
  if (request.split() != v1::SPLIT_VALIDATION || !request.file().empty()) return false;
  const std::int64_t every = record.checked_config().evaluation_every_steps;
  const bool is_planned = request.step() <= record.training->plan.first_step ||
                          request.step() >= record.training->plan.end_step ||
                          (every > 0 && request.step() % every == 0);
  return !is_planned;
}

}  // namespace

void WorkerCalls::report_metrics(const v1::ReportMetricsRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  check_not_cancelled(record.job);
  check_trains(record);
  if (record.job.state() == v1::JOB_STATE_QUEUED) check_goes_on(record);
  check_metrics(request, record.job, record.checked_config().data);
  if (request.split() == v1::SPLIT_TRAIN) {
    record.training->pace.observe(request.pairs_total(), request.pairs_per_second());
  }
  const bool is_evaluation = request.split() == v1::SPLIT_VALIDATION, was_asked = was_asked_for(record, request);
  // On record before ranks go on: a later attempt makes again what people have asked for where this line of
  // metrics.jsonl is cut off, and only there.
  const bool is_of_people = is_evaluation && (was_asked || record.job.open_requests().has_evaluation_step());
  const auto apply = [&](v1::TrainingJob& job) {
    apply_metrics(job, request);
    if (was_asked) note_asked_evaluation(job, request.step());
    set_time_left(job, *record.training);
  };
  if (is_of_people) {
    table_.check_room();
    v1::TrainingJob job = record.job;
    apply(job);
    table_.replace(record, std::move(job));
  } else {
    apply(record.job);
    table_.bump_revision(record);
  }
  table_.metrics().show_report(record.job, request);
  // Evaluations are few, and people compare them after the job has ended.
  if (is_evaluation && !is_of_people) table_.store_soon(record);
}

void WorkerCalls::note_warnings(JobRecord& record, const v1::HeartbeatRequest& request) {
  bool is_new = false;
  for (const std::string& warning : request.warnings()) {
    const std::string sentence = one_line(warning, kLongestWarning);
    if (std::ranges::find(record.job.conditions(), sentence) != record.job.conditions().end()) continue;
    const std::size_t what = sentence.starts_with("step ") ? sentence.find(": ") : std::string::npos;
    if (what == std::string::npos) {
      add_condition(record.job, sentence);
    } else {  // "step 7: the gradient is not finite, the update is skipped"
      add_recurring_condition(record.job, sentence, std::string_view(sentence).substr(what + 2));
    }
    is_new = true;
  }
  if (!is_new) return;
  table_.bump_revision(record);
  table_.store_soon(record);
}

void WorkerCalls::note_progress(JobRecord& record, const v1::HeartbeatRequest& request) {
  const SteadyTime now = table_.clock().now();
  record.members->renew_lease(request.rank(), now);
  record.members->report(request.rank(), report_of(request), now);
  const bool is_only_training = request.rank_phase() == v1::RANK_PHASE_TRAINING;
  if (request.rank() != 0) return;
  record.waits_for_room = request.waits_for_room();
  if (!is_only_training || record.waits_for_room) record.step_times.interrupt();
}

// The ranks go on, whoever had asked them to leave.
void WorkerCalls::note_pause_failure(JobRecord& record, const v1::HeartbeatRequest& request) {
  if (request.rank() != 0 || request.pause_failure().empty()) return;
  record.must_leave = false;
  record.leave_by.reset();
  record.stays_until = table_.clock().now() + kTimeBetweenTries;
  const std::string why = one_line(request.pause_failure(), kLongestPauseFailure);
  const bool was_asked = awaits_checkpoint(record.intended());
  table_.settle(record, PauseFailed{.why = why});
  const std::string sentence = (was_asked ? "could not pause after step " : "could not leave after step ") +
                               std::to_string(record.job.step()) + ": " + why;
  if (has_condition(record.job, sentence)) return;
  add_condition(record.job, sentence);
  table_.bump_revision(record);
  table_.store_soon(record);
}

namespace {

bool is_asked_to_leave(const JobRecord& record) {
  const JobLifecycle& job = record.intended();
  const bool is_ours = job.state == v1::JOB_STATE_RUNNING && record.must_leave;
  return awaits_checkpoint(job) || (is_ours && !job.left_at_step && !job.all_ranks_finished);
}

}  // namespace

v1::HeartbeatResponse WorkerCalls::heartbeat(const v1::HeartbeatRequest& request) {
  JobRecord& record = fenced(request.job_id(), request.generation());
  if (static_cast<std::size_t>(request.warnings_size()) > kMostWarnings) {
    throw std::invalid_argument("warnings has " + std::to_string(request.warnings_size()) +
                                " sentences, expected at most " + std::to_string(kMostWarnings));
  }
  check_size("phase", request.phase(), kLongestPhase);
  check_size("last_collective", request.last_collective(), kLongestCollective);
  readmit(record, request.rank());
  const bool is_member = record.members && record.members->has(request.rank());
  if (is_member) note_progress(record, request);
  v1::HeartbeatResponse response;
  response.set_command(v1::HeartbeatResponse::COMMAND_CONTINUE);
  response.set_is_held(table_.is_held() || record.waits_for_room);
  if (must_exit(record.intended())) {
    if (is_member) record.members->set_told_to_exit(request.rank());
    response.set_command(v1::HeartbeatResponse::COMMAND_EXIT);
    return response;
  }
  if (record.job.state() == v1::JOB_STATE_SUCCEEDED) return response;
  if (!is_member) refuse_state(record.job, "has no rank " + std::to_string(request.rank()) + " that has registered");
  const std::string phase = one_line(request.phase(), kLongestPhase);
  if (request.rank() == 0 && !phase.empty() && phase != record.job.phase()) {
    record.job.set_phase(phase);
    table_.bump_revision(record);
  }
  note_warnings(record, request);
  note_pause_failure(record, request);
  if (is_asked_to_leave(record)) response.set_command(v1::HeartbeatResponse::COMMAND_PAUSE);
  response.set_checkpoint_requests(record.job.open_requests().checkpoints());
  response.set_evaluation_requests(record.job.open_requests().evaluations());
  response.set_settings_version(newest_version(record.job.settings_changes()));
  return response;
}

}  // namespace equipoise::coordinator
