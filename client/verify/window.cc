#include "client/verify/window.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "client/connection/private_service.h"
#include "common/base/message_text.h"
#include "common/config/job_file.h"
#include "common/ledger/ledger_reader.h"
#include "common/ledger/step_bytes.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

std::optional<std::int64_t> step_number(std::string_view text) {
  std::int64_t step = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), step);
  const bool is_number = fault == std::errc() && end == text.data() + text.size() && step >= 1;
  return is_number ? std::optional(step) : std::nullopt;
}

std::string window_text(StepWindow window) {
  if (window.first == window.last) return "step " + std::to_string(window.first);
  return "steps " + std::to_string(window.first) + " to " + std::to_string(window.last);
}

[[noreturn]] void refuse_window(StepWindow window, const std::string& why) {
  throw std::invalid_argument("--steps: " + window_text(window) + " cannot be computed again: " + why);
}

// Those that trained steps [first, last).
std::vector<const AuditedAttempt*> attempts_of(const RunAudit& audit, std::int64_t first, std::int64_t last) {
  std::vector<const AuditedAttempt*> attempts;
  for (std::size_t i = 0; i < audit.attempts.size(); ++i) {
    const std::int64_t end = i + 1 < audit.attempts.size() ? audit.attempts[i + 1].first_step : audit.steps_done;
    if (audit.attempts[i].first_step < last && end > first) attempts.push_back(&audit.attempts[i]);
  }
  return attempts;
}

v1::JobSpec window_spec(const LedgerAttempt& attempt, const WindowPlan& plan, const fs::path& output) {
  v1::JobSpec spec;
  merge_job_text("the job in the ledger", attempt.job, spec);
  spec.set_output(output.string());
  spec.clear_overwrite();
  if (plan.checkpoint.empty()) {
    if (spec.has_training()) spec.mutable_training()->clear_resume_from_checkpoint();
  } else {
    spec.mutable_training()->set_resume_from_checkpoint(plan.checkpoint.string());
  }
  spec.clear_launch();
  spec.mutable_launch()->set_mode(v1::LAUNCH_MODE_COORDINATOR);
  spec.mutable_launch()->set_workers(plan.ranks);
  spec.mutable_launch()->set_max_restarts(0);
  // As often as the run has made them by steps; none by the clock.
  spec.mutable_checkpoint()->set_every_seconds(0);
  spec.mutable_checkpoint()->set_keep(1);
  return spec;
}

// The steps of a ledger from `first` (steps done before it) on.
class LedgerSteps {
 public:
  LedgerSteps(const fs::path& output, std::int64_t first) : reader_(output / kLedgerName), first_(first) {}

  // The content of the next one; nothing at the end.
  std::optional<std::string_view> next() {
    LedgerRecord record;
    while (reader_.next(record)) {
      if (record.kind != LedgerKind::kStep) continue;
      std::string_view content = record.content;
      const auto step = take_varint(content);
      if (step && static_cast<std::int64_t>(*step) >= first_) return record.content;
    }
    return std::nullopt;
  }

 private:
  LedgerReader reader_;
  std::int64_t first_;
};

// Of the first number that differs.
std::string difference_of(const RunAudit& audit, std::string_view recorded, std::string_view computed) {
  const StoredStep before = step_of_bytes(recorded), now = step_of_bytes(computed);
  std::string text = "step " + std::to_string(before.step + 1) + ": ";
  const auto is_same = [](double one, double other) {
    return std::bit_cast<std::uint64_t>(one) == std::bit_cast<std::uint64_t>(other);
  };
  if (before.step != now.step) return text + "was computed as step " + std::to_string(now.step + 1);
  if (before.sums.group != now.sums.group || before.skipped != now.skipped) {
    return text + "other groups than on record";
  }
  for (std::size_t i = 0; i < before.sums.group.size(); ++i) {
    for (const auto& [field, one, other] :
         {std::tuple("loss_sum", before.sums.loss_sum[i], now.sums.loss_sum[i]),
          std::tuple("pair_count", before.sums.pair_count[i], now.sums.pair_count[i])}) {
      if (is_same(one, other)) continue;
      return text + field + " of " + quoted_text(audit.start.group_names[before.sums.group[i]]) + " is " +
             number_text(one) + " on record, computed " + number_text(other);
    }
  }
  return text + "batch_pairs is " + number_text(before.sums.batch_pairs) + " on record, computed " +
         number_text(now.sums.batch_pairs);
}

struct ComputedEnds {
  LedgerStart start;
  std::map<std::int64_t, Digest> parameters;  // of checkpoints, by step
  std::optional<LedgerEnd> end;
};

ComputedEnds ends_of(const fs::path& output) {
  ComputedEnds ends;
  LedgerReader reader(output / kLedgerName);
  LedgerRecord record;
  while (reader.next(record)) {
    if (record.kind == LedgerKind::kStart) ends.start = start_of_record(record.content);
    if (record.kind == LedgerKind::kEnd) ends.end = end_of_record(record.content);
    if (record.kind != LedgerKind::kCheckpoint) continue;
    const LedgerCheckpoint checkpoint = checkpoint_of_record(record.content);
    ends.parameters[checkpoint.step] = checkpoint.parameters;
  }
  return ends;
}

}  // namespace

StepWindow step_window(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = step_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : step_number(text.substr(dash + 1));
  if (!first || !last || *last < *first) {
    throw std::invalid_argument("--steps is " + quoted_text(text) + ", expected FIRST-LAST, such as 10-20");
  }
  return {.first = *first, .last = *last};
}

WindowPlan plan_window(const RunAudit& audit, StepWindow window, const fs::path& output) {
  const std::int64_t begin = window.first - 1;
  if (begin < audit.start.first_step || window.last > audit.steps_done) {
    refuse_window(window, "the ledger has steps " + std::to_string(audit.start.first_step + 1) + " to " +
                              std::to_string(audit.steps_done));
  }
  WindowPlan plan{.window = window, .checkpoint = {}, .spec = {}};
  bool has_beginning = audit.start.first_step == 0;
  for (const WholeCheckpoint& one : audit.whole) {
    if (one.step > begin) continue;
    plan.from = one.step;
    plan.checkpoint = one.folder;
    has_beginning = true;
  }
  if (!has_beginning)
    refuse_window(window, "no checkpoint of an earlier step is there, and the start is not on record");
  for (const LedgerSettings& change : audit.settings) {
    if (change.step >= window.last) continue;
    refuse_window(window, "settings were changed after step " + std::to_string(change.step));
  }
  const auto attempts = attempts_of(audit, plan.from, window.last);
  const LedgerAttempt& attempt = attempts.back()->attempt;
  for (const AuditedAttempt* const one : attempts) {
    if (one->attempt.device != "cpu") {
      refuse_window(window, "they were trained on " + one->attempt.device + ", and only CPUs give the same bits again");
    }
    const std::string then = " from step " + std::to_string(attempts.back()->first_step + 1) + " on";
    if (one->attempt.plan.world_size != attempt.plan.world_size) {
      refuse_window(window, "the run had " + std::to_string(one->attempt.plan.world_size) + " ranks first and " +
                                std::to_string(attempt.plan.world_size) + then);
    }
    if (one->attempt.threads == attempt.threads) continue;
    refuse_window(window, "its ranks had " + std::to_string(one->attempt.threads) + " threads first and " +
                              std::to_string(attempt.threads) + then);
  }
  plan.is_to_end = audit.end.has_value() && window.last == audit.end->final_step;
  plan.ranks = attempt.plan.world_size;
  plan.threads = attempt.threads;
  plan.spec = window_spec(attempt, plan, output);
  return plan;
}

void train_window(const WindowPlan& plan, ProgressDisplay& display) {
  // Both reach the ranks through the coordinator, which is started with the environment of this process.
  ::setenv("EQUIPOISE_DEVICE", "cpu", 1);
  ::setenv("OMP_NUM_THREADS", std::to_string(std::max(plan.threads, 1)).c_str(), 1);
  PrivateService service("");
  if (plan.is_to_end) {
    service.run(plan.spec, display);
    return;
  }
  const std::int64_t last = plan.window.last;
  service.run_until(plan.spec, display, [last](const v1::TrainingJob& job) { return job.step() >= last; });
}

AuditLine compare_window(const RunAudit& audit, const fs::path& run, const WindowPlan& plan) {
  AuditLine line{.what = window_text(plan.window), .result = {}, .is_fault = true};
  const fs::path output = plan.spec.output();
  const ComputedEnds ends = ends_of(output);
  if (ends.start.dataset != audit.start.dataset) {
    line.result = "the training data or the tokenizer are not those on record";
    return line;
  }
  LedgerSteps recorded(run, plan.window.first - 1), computed(output, plan.window.first - 1);
  for (std::int64_t step = plan.window.first; step <= plan.window.last; ++step) {
    const auto before = recorded.next(), now = computed.next();
    if (!before || !now) {
      line.result = "step " + std::to_string(step) + " was not " + (before ? "computed again" : "found in the ledger");
      return line;
    }
    if (*before == *now) continue;
    line.result = difference_of(audit, *before, *now);
    return line;
  }
  std::int64_t compared = 0, missing = 0;
  for (const LedgerCheckpoint& checkpoint : audit.checkpoints) {
    if (checkpoint.step <= plan.from || checkpoint.step > plan.window.last) continue;
    const auto found = ends.parameters.find(checkpoint.step);
    if (found == ends.parameters.end()) {
      ++missing;
      continue;
    }
    ++compared;
    if (found->second == checkpoint.parameters) continue;
    line.result =
        "the parameters of the checkpoint of step " + std::to_string(checkpoint.step) + " are others than on record";
    return line;
  }
  if (plan.is_to_end && (!ends.end || ends.end->state != audit.end->state)) {
    line.result = "the trained parameters are others than on record";
    return line;
  }
  line.is_fault = false;
  line.result =
      "trained again on " + std::to_string(plan.ranks) + (plan.ranks == 1 ? " rank" : " ranks") +
      (plan.checkpoint.empty() ? " from the start" : " from the checkpoint of step " + std::to_string(plan.from)) +
      ": S_g, n_g and weights have the same bits";
  if (compared > 0) {
    line.result += ", and so have the parameters of " + std::to_string(compared) +
                   (compared == 1 ? " checkpoint" : " checkpoints");
  }
  if (missing > 0) {
    line.result += " (" + std::to_string(missing) + " made by the clock could not be compared)";
  }
  if (plan.is_to_end) line.result += ", and the trained parameters";
  return line;
}

}  // namespace equipoise
