#include "coordinator/job/record_check.h"

#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <optional>

#include "coordinator/job/step_history.h"
#include "coordinator/job/training.h"

namespace equipoise::coordinator {
namespace {

using google::protobuf::Timestamp;

constexpr std::int64_t kMostCounted = std::int64_t{1} << 62;  // far above any, and one can still be added

bool is_count(std::int64_t number) { return number >= 0 && number < kMostCounted; }

bool is_time(const Timestamp& time) {
  // As nanoseconds it must fit 64 bits: the years 1970 to 2262.
  constexpr std::int64_t kMostSeconds = 9'223'372'036;
  constexpr std::int32_t kMostNanos = 999'999'999;
  return time.seconds() >= 0 && time.seconds() < kMostSeconds && time.nanos() >= 0 && time.nanos() <= kMostNanos;
}

std::string step_text(std::int64_t generation, std::int64_t step) {
  return "step " + std::to_string(step) + " of attempt " + std::to_string(generation);
}

bool are_settings(const v1::TrainingJobSettings& settings) {
  const auto is_size = [](double size) { return std::isfinite(size) && size >= 0; };
  return is_size(settings.trade_off()) && settings.trade_off() <= 1 && is_size(settings.step_size()) &&
         is_size(settings.learning_rate()) && is_count(settings.max_steps());
}

// Whoever applies them relies on it.
std::string changes_fault(const v1::TrainingJob& job) {
  std::int64_t version = 0;
  for (const v1::SettingsChange& change : job.settings_changes()) {
    const bool is_one = change.version() > version && is_count(change.effective_step()) &&
                        is_time(change.create_time()) && are_settings(change.settings());
    if (!is_one) return "its record has a change of settings that is none";
    version = change.version();
  }
  return "";
}

// What `read` finds or throws, as a sentence.
std::string fault_found_by(const std::function<std::string()>& read) {
  try {
    return read();
  } catch (const StoreError& error) {
    if (error.cause() != StoreError::Cause::kDamaged) throw;
    return error.what();
  } catch (const std::exception& refusal) {  // whatever it is: the other jobs are to run
    return refusal.what();
  }
}

std::string training_fault(const StoredTraining& training, const v1::TrainingJob& job, std::int64_t generation) {
  if (training.request.generation() != generation) return "its training is that of another attempt";
  const int num_groups = training.request.group_names_size();
  const bool is_newest = generation == job.generation();
  if (is_newest && job.groups_size() != num_groups) {
    return "it has " + std::to_string(job.groups_size()) + " groups, but its training has " +
           std::to_string(num_groups);
  }
  const v1::ShardPlan& plan = training.response.plan();
  const bool is_plan = is_count(plan.first_step()) && is_count(plan.end_step()) && plan.num_pairs() > 0;
  return is_plan ? "" : "the plan of its training is none";
}

std::string range_fault(const StepRange& range, std::int64_t generation, std::int64_t first_step) {
  if (range.count == 0) return "";
  if (range.first != first_step) return step_text(generation, first_step) + " is missing";
  if (!is_count(range.last)) return "attempt " + std::to_string(generation) + " has a step that is none";
  const std::int64_t steps = range.last - range.first + 1;
  if (range.count == steps) return "";
  return std::to_string(steps - range.count) + " steps of attempt " + std::to_string(generation) + " are missing";
}

std::string step_fault(const StepRecord& record, std::int64_t generation, std::int64_t step, const WeightOwner& weights,
                       StepHistory& history) {
  const std::string where = step_text(generation, step) + ": ";
  const v1::ReportStepRequest& request = record.request;
  if (request.step() != step || request.generation() != generation) return where + "it is the record of another step";
  if (record.digest != step_digest(request)) return where + "its numbers are not those that were stored";
  const std::string fault = weights.record_fault(history.whole(record));
  return fault.empty() ? "" : where + fault;
}

// Where the steps begin that the attempt had to go on from: at most one past the newest step before it. The checkpoint
// of another job may be of any step.
std::string start_fault(JobStore& store, const v1::TrainingJob& job, const StoredTraining& training) {
  const std::int64_t generation = training.request.generation(), first_step = training.response.plan().first_step();
  const std::string attempt = "attempt " + std::to_string(generation);
  std::optional<StoredAttempt> own, before;
  for (StoredAttempt& stored : store.attempts(job.id())) {
    if (stored.generation == generation) own = stored;
    if (stored.generation < generation && stored.start_step) before = std::move(stored);
  }
  if (!own || !own->start_step) return "the start of " + attempt + " is missing";
  if (*own->start_step != first_step) {
    return attempt + " starts at step " + std::to_string(*own->start_step) + ", but its plan at step " +
           std::to_string(first_step);
  }
  if (training.request.has_resume() && training.request.resume().job_id() != job.id()) return "";
  std::int64_t end = store.step_rows().extent(job.id()).thinned_end;
  if (before) {
    const auto last = store.step_rows().last_number(job.id(), before->generation, *before->start_step);
    end = std::max(end, last ? *last + 1 : *before->start_step);
  }
  if (first_step <= end) return "";
  return attempt + " starts at step " + std::to_string(first_step) + ", but the steps before it end at step " +
         std::to_string(end);
}

// What an attempt did from the start of a later one on is no longer of the line, and nothing reads it.
std::int64_t last_of_line(JobStore& store, const v1::TrainingJob& job, std::int64_t generation) {
  std::int64_t last = std::numeric_limits<std::int64_t>::max();
  for (const StoredAttempt& later : store.attempts(job.id())) {
    if (later.generation > generation && later.start_step) last = std::min(last, *later.start_step - 1);
  }
  return last;
}

enum class StepsToRead { kLast, kAll };

std::string attempt_fault(JobStore& store, const JobConfig& config, const v1::TrainingJob& job, std::int64_t generation,
                          StepsToRead which) {
  if (generation == 0 && job.state() == v1::JOB_STATE_QUEUED) return "";  // whatever is damaged is none of its rows
  const std::optional<StoredTraining> training = store.training(job.id(), generation);
  const std::int64_t thinned_end = store.step_rows().extent(job.id()).thinned_end;
  const std::int64_t from = thinned_end > 0 ? thinned_end : std::numeric_limits<std::int64_t>::min();
  const StepRange range = store.step_rows().range(job.id(), generation, from, last_of_line(store, job, generation));
  const bool is_newest = generation == job.generation();
  const bool has_begun = range.count > 0 || (is_newest && job.state() == v1::JOB_STATE_RUNNING);
  if (!training) return has_begun ? "the training of attempt " + std::to_string(generation) + " is missing" : "";
  check_start_training(training->request);
  const WeightOwner weights = weight_owner_for(config, training->request);
  if (const std::string fault = training_fault(*training, job, generation); !fault.empty()) return fault;
  const std::int64_t first_step = training->response.plan().first_step();
  if (const std::string fault = start_fault(store, job, *training); !fault.empty()) return fault;
  const std::int64_t first_whole = std::max(first_step, thinned_end);
  if (const std::string fault = range_fault(range, generation, first_whole); !fault.empty()) return fault;
  const std::int64_t next_step = range.count > 0 ? range.last + 1 : first_whole;
  if (is_newest && job.step() > next_step) return step_text(generation, job.step() - 1) + " is missing";
  StepHistory history(store, config, job.id(), job.settings_changes());
  const std::int64_t first = which == StepsToRead::kAll ? range.first : range.last;
  for (std::int64_t step = first; range.count > 0 && step <= range.last; ++step) {
    const auto record = store.step({.job_id = job.id(), .generation = generation, .step = step});
    if (!record) return step_text(generation, step) + " is missing";
    if (const std::string fault = step_fault(*record, generation, step, weights, history); !fault.empty()) return fault;
  }
  return "";
}

}  // namespace

std::string job_fault(const StoredJob& stored) {
  if (!stored.damage.empty()) return stored.damage;
  const v1::TrainingJob& job = stored.job;
  if (!v1::JobState_IsValid(job.state()) || job.state() == v1::JOB_STATE_UNSPECIFIED) {
    return "its record has state " + std::to_string(static_cast<int>(job.state())) + ", which is none";
  }
  if (!is_count(job.generation()) || !is_count(job.revision()) || !is_count(job.step())) {
    return "its record has a generation, revision or step that is none";
  }
  for (const Timestamp& time : {job.create_time(), job.start_time(), job.end_time(), job.failure().time()}) {
    if (!is_time(time)) return "its record has a time that is none";
  }
  const auto& running = job.running_time();
  constexpr std::int64_t kMostSeconds = 10'000'000'000;
  constexpr std::int32_t kNanosEnd = 1'000'000'000;
  const bool is_duration =
      running.seconds() >= 0 && running.seconds() < kMostSeconds && running.nanos() >= 0 && running.nanos() < kNanosEnd;
  return is_duration ? changes_fault(job) : "its record has a running time that is none";
}

std::string newest_attempt_fault(JobStore& store, const JobConfig& config, const v1::TrainingJob& job) {
  return fault_found_by([&] { return attempt_fault(store, config, job, job.generation(), StepsToRead::kLast); });
}

std::string history_fault(JobStore& store, const JobConfig& config, const v1::TrainingJob& job) {
  return fault_found_by([&] {
    for (const std::int64_t generation : store.generations(job.id())) {
      if (const std::string fault = attempt_fault(store, config, job, generation, StepsToRead::kAll); !fault.empty())
        return fault;
    }
    return std::string();
  });
}

}  // namespace equipoise::coordinator
