#include "client/verify/window_plan.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/base/message_text.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/job_file.h"
#include "common/config/ledger_config.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

std::optional<std::int64_t> step_number(std::string_view text) {
  std::int64_t step = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), step);
  const bool is_number = fault == std::errc() && end == text.data() + text.size() && step >= 1;
  return is_number ? std::optional(step) : std::nullopt;
}

[[noreturn]] void refuse_window(StepWindow window, const std::string& why) {
  throw std::invalid_argument("--steps: " + window_text(window) + " cannot be computed again: " + why);
}

v1::JobSpec spec_of(const LedgerAttempt& attempt) {
  v1::JobSpec spec;
  merge_job_text("the job in the ledger", attempt.job, spec);
  return spec;
}

// An attempt and the steps [first, end) that it has trained, of those that are on record.
struct TrainedSteps {
  const AuditedAttempt* attempt = nullptr;
  std::int64_t first = 0, end = 0;
};

// Of the steps [first, last).
std::vector<TrainedSteps> trained_steps(const RunAudit& audit, std::int64_t first, std::int64_t last) {
  std::vector<TrainedSteps> list;
  for (std::size_t i = 0; i < audit.attempts.size(); ++i) {
    const AuditedAttempt& one = audit.attempts[i];
    const std::int64_t end = i + 1 < audit.attempts.size() ? audit.attempts[i + 1].first_step : audit.steps_done;
    if (one.first_step < last && end > first && end > one.first_step) list.push_back({&one, one.first_step, end});
  }
  return list;
}

// A change takes effect with a step of the attempt that trains it.
const LedgerAttempt& attempt_with(const RunAudit& audit, const LedgerSettings& change) {
  const AuditedAttempt* found = &audit.attempts.front();
  for (const AuditedAttempt& one : audit.attempts) {
    if (one.first_step <= change.step) found = &one;
  }
  return found->attempt;
}

// The same settings of every step, as far as a job says them.
bool has_same_settings(const LedgerAttempt& one, const LedgerAttempt& other) {
  v1::JobSpec left = spec_of(one), right = spec_of(other);
  for (v1::JobSpec* const spec : {&left, &right}) {
    for (const char* const free : {"name", "output", "overwrite", "launch", "checkpoint", "logging", "ledger"}) {
      spec->GetReflection()->ClearField(spec, v1::JobSpec::descriptor()->FindFieldByName(free));
    }
    spec->mutable_training()->clear_resume_from_checkpoint();
  }
  return google::protobuf::util::MessageDifferencer::Equals(left, right);
}

// Whether one job can train the steps of both, one after the other.
bool goes_on_alike(const RunAudit& audit, const LedgerAttempt& before, const LedgerAttempt& now) {
  if (before.plan.world_size != now.plan.world_size || before.threads != now.threads) return false;
  if (before.job_id == now.job_id) return true;
  // Another job does not have the changes of the one before.
  const bool was_changed = std::ranges::any_of(audit.settings, [&](const LedgerSettings& change) {
    return attempt_with(audit, change).job_id == before.job_id;
  });
  return !was_changed && has_same_settings(before, now);
}

v1::TrainingJobSettings recorded_settings(const LedgerSettings& change) {
  v1::TrainingJobSettings settings;
  const CheckpointJson& object = change.settings;
  if (object.contains("trade_off")) settings.set_trade_off(double_at(object, "trade_off"));
  if (object.contains("step_size")) settings.set_step_size(double_at(object, "step_size"));
  if (object.contains("learning_rate")) settings.set_learning_rate(double_at(object, "learning_rate"));
  if (object.contains("max_steps")) settings.set_max_steps(integer_at(object, "max_steps"));
  return settings;
}

void add_change(v1::CreateTrainingJobRequest& request, std::int64_t step, const v1::TrainingJobSettings& settings) {
  v1::SettingsChange& change = *request.add_settings_changes();
  change.set_version(request.settings_changes_size());
  change.set_effective_step(step);
  *change.mutable_settings() = settings;
}

// Those of the part's job, with the steps that they took effect at. Returns how many of them hold in the part's steps.
std::size_t add_recorded_changes(const RunAudit& audit, const LedgerAttempt& attempt, WindowPart& part) {
  std::size_t changes = 0;
  for (const LedgerSettings& change : audit.settings) {
    if (change.step >= part.last || attempt_with(audit, change).job_id != attempt.job_id) continue;
    const v1::TrainingJobSettings settings = recorded_settings(change);
    if (settings.ByteSizeLong() == 0) continue;  // a newer one of an earlier step counts
    add_change(part.request, change.step, settings);
    if (change.step >= part.from) ++changes;
  }
  return changes;
}

// Where the attempt would have ended training by itself, with the changes of its time.
std::int64_t planned_end(const RunAudit& audit, const TrainedSteps& trained) {
  std::int64_t end = trained.attempt->attempt.plan.end_step;
  for (const LedgerSettings& change : audit.settings) {
    if (change.step < trained.first || change.step >= trained.end || !change.settings.contains("max_steps")) continue;
    end = std::max(integer_at(change.settings, "max_steps"), change.step + 1);
  }
  return end;
}

// The checkpoint that the attempt has gone on from, where it is of another run: as its job names it, or, of a fork,
// in the folder of the other run.
fs::path borrowed_checkpoint(const LedgerAttempt& attempt) {
  if (!attempt.origin) return {};
  const fs::path named = spec_of(attempt).training().resume_from_checkpoint();
  if (named.empty()) return {};
  const fs::path of_parent = checkpoint_folder(named.parent_path().parent_path(), attempt.origin->step);
  for (const fs::path& folder : {named, of_parent}) {
    try {
      const CheckpointManifest manifest = read_checkpoint_manifest(folder);
      if (manifest_digest(manifest) != attempt.origin->manifest) continue;
      if (fault_of_files(folder, manifest).empty()) return folder;
    } catch (const std::invalid_argument&) {
      continue;  // it is not there any more
    }
  }
  return {};
}

class WindowPlanner {
 public:
  WindowPlanner(const RunAudit& audit, StepWindow window, const fs::path& folder)
      : audit_(audit), folder_(folder), plan_{.window = window, .parts = {}} {}

  WindowPlan plan() {
    check_is_on_record();
    take_whole_blocks();
    WindowPart start = beginning();
    const std::vector<TrainedSteps> trained = trained_steps(audit_, start.from, plan_.window.last);
    for (const TrainedSteps& one : trained) check_device(one);
    plan_.is_to_end = audit_.end.has_value() && plan_.window.last == audit_.end->final_step;
    for (std::size_t i = 0; i < trained.size(); ++i) {
      const bool is_last = i + 1 == trained.size();
      if (!is_last && goes_on_alike(audit_, trained[i].attempt->attempt, trained[i + 1].attempt->attempt)) continue;
      start.last = is_last ? plan_.window.last : trained[i].end;
      finish_part(start, trained[i], is_last);
      if (!is_last) start = next_beginning(plan_.parts.back());
    }
    return std::move(plan_);
  }

 private:
  void check_is_on_record() const {
    if (plan_.window.first > audit_.start.first_step && plan_.window.last <= audit_.steps_done) return;
    refuse_window(plan_.window, "the ledger has steps " + std::to_string(audit_.start.first_step + 1) + " to " +
                                    std::to_string(audit_.steps_done));
  }

  // One digest vouches for all steps of a block.
  void take_whole_blocks() {
    for (const StepBlock& block : audit_.blocks) {
      if (block.end < plan_.window.first || block.first >= plan_.window.last) continue;
      plan_.window = {.first = std::min(plan_.window.first, block.first + 1),
                      .last = std::max(plan_.window.last, block.end)};
    }
  }

  void check_device(const TrainedSteps& one) const {
    const std::string& device = one.attempt->attempt.device;
    if (device == "cpu") return;
    refuse_window(plan_.window, "steps " + std::to_string(one.first + 1) + " to " + std::to_string(one.end) +
                                    " were trained on " + device + ", and only CPUs give the same bits again");
  }

  // The newest checkpoint before the window, or the start.
  WindowPart beginning() const {
    const std::int64_t begin = plan_.window.first - 1;
    std::optional<WindowPart> found;
    if (audit_.start.first_step == 0) found.emplace();
    for (const AuditedAttempt& one : audit_.attempts) {
      const bool is_newer = one.first_step <= begin && (!found || one.first_step > found->from);
      const fs::path borrowed = is_newer ? borrowed_checkpoint(one.attempt) : fs::path();
      if (borrowed.empty()) continue;
      found.emplace();
      found->from = one.first_step;
      found->checkpoint = borrowed;
      found->is_borrowed = true;
    }
    for (const WholeCheckpoint& one : audit_.whole) {
      if (one.step > begin || (found && one.step < found->from)) continue;
      found.emplace();
      found->from = one.step;
      found->checkpoint = one.folder;
    }
    if (!found) {
      refuse_window(plan_.window, "no checkpoint of an earlier step is there, and the start is not on record");
    }
    return *found;
  }

  // That of the next part: on record, or made by the part before.
  WindowPart next_beginning(const WindowPart& before) const {
    WindowPart part;
    part.from = before.last;
    part.checkpoint = before.makes_checkpoint ? checkpoint_folder(before.request.spec().output(), before.last)
                                              : checkpoint_of(before.last)->folder;
    return part;
  }

  const WholeCheckpoint* checkpoint_of(std::int64_t step) const {
    const auto found = std::ranges::find(audit_.whole, step, &WholeCheckpoint::step);
    return found == audit_.whole.end() ? nullptr : &*found;
  }

  void finish_part(WindowPart& part, const TrainedSteps& trained, bool is_last) {
    const LedgerAttempt& attempt = trained.attempt->attempt;
    part.ranks = attempt.plan.world_size;
    part.threads = attempt.threads;
    part.makes_checkpoint = !is_last && checkpoint_of(part.last) == nullptr;
    *part.request.mutable_spec() = part_spec(attempt, part);
    plan_.changes += add_recorded_changes(audit_, attempt, part);
    const bool ends_there = planned_end(audit_, trained) <= part.last;
    part.runs_to_end = is_last ? plan_.is_to_end : part.makes_checkpoint || ends_there;
    // A job that would have gone on ends a step later: the evaluation at its end is none of the steps before.
    if (part.makes_checkpoint && !ends_there) {
      v1::TrainingJobSettings end;
      end.set_max_steps(part.last + 1);
      add_change(part.request, part.from, end);
    }
    plan_.parts.push_back(part);
  }

  v1::JobSpec part_spec(const LedgerAttempt& attempt, const WindowPart& part) const {
    v1::JobSpec spec = spec_of(attempt);
    spec.set_output((folder_ / ("part-" + std::to_string(plan_.parts.size() + 1))).string());
    spec.clear_overwrite();
    v1::TrainingSpec& training = *spec.mutable_training();
    training.clear_resume_from_checkpoint();
    if (!part.checkpoint.empty()) training.set_resume_from_checkpoint(part.checkpoint.string());
    // People had moved the end of another job's checkpoint beyond it; no schedule has a shape there.
    if (training.has_max_steps() && training.max_steps() < part.from) training.set_max_steps(part.from);
    spec.clear_launch();
    spec.mutable_launch()->set_mode(v1::LAUNCH_MODE_COORDINATOR);
    spec.mutable_launch()->set_workers(part.ranks);
    spec.mutable_launch()->set_max_restarts(0);
    spec.mutable_ledger()->set_steps_mib(kMostLedgerMib);  // every step is compared
    // As often as the run has made them by steps; none by the clock.
    v1::CheckpointSpec& checkpoint = *spec.mutable_checkpoint();
    checkpoint.set_every_seconds(0);
    checkpoint.set_keep(part.makes_checkpoint ? 2 : 1);
    const std::int64_t every = checkpoint.every_steps();
    if (part.makes_checkpoint && (every == 0 || part.last % every != 0)) checkpoint.set_every_steps(part.last);
    return spec;
  }

  const RunAudit& audit_;
  const fs::path folder_;
  WindowPlan plan_;
};

}  // namespace

std::string window_text(StepWindow window) {
  if (window.first == window.last) return "step " + std::to_string(window.first);
  return "steps " + std::to_string(window.first) + " to " + std::to_string(window.last);
}

StepWindow step_window(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = step_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : step_number(text.substr(dash + 1));
  if (!first || !last || *last < *first) {
    throw std::invalid_argument("--steps is " + quoted_text(text) + ", expected FIRST-LAST, such as 10-20");
  }
  return {.first = *first, .last = *last};
}

WindowPlan plan_window(const RunAudit& audit, StepWindow window, const fs::path& folder) {
  return WindowPlanner(audit, window, folder).plan();
}

}  // namespace equipoise
