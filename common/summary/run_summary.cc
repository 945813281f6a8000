#include "common/summary/run_summary.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "common/config/job_file.h"
#include "common/ledger/ledger_reader.h"
#include "common/metrics/metrics_schema.h"
#include "common/robust/worst_group.h"
#include "common/summary/thinned_list.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;
namespace schema = metrics_schema;
using Element = simdjson::dom::element;

constexpr std::size_t kMostEntries = 50'000;                    // of log_history, of each kind of line
constexpr std::size_t kMostEntryBytes = std::size_t{64} << 20;  // of them together
constexpr std::size_t kMostCurvePoints = 400;
constexpr std::size_t kMostCurveBytes = std::size_t{128} << 20;  // of the lines that curves are made of
constexpr std::size_t kMostNotedChanges = 1000;
constexpr std::size_t kMostNotedAttempts = 1000;
constexpr std::size_t kMostFlatGroups = 32;  // groups whose numbers have names of their own in log_history

std::optional<double> number_at(Element object, std::string_view name) {
  Element found;
  if (object[name].get(found) != simdjson::SUCCESS) return std::nullopt;
  if (found.is_null()) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  return found.get(value) == simdjson::SUCCESS ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> step_at(Element line) {
  std::int64_t step = 0;
  return line[schema::kStep.name].get(step) == simdjson::SUCCESS ? std::optional(step) : std::nullopt;
}

// Hands the numbers of an object by group to `use`.
template <typename Use>
void for_each_group(Element line, std::string_view field, const Use& use) {
  simdjson::dom::object groups;
  if (line[field].get(groups) != simdjson::SUCCESS) return;
  for (const auto& [name, value] : groups) {
    double number = std::numeric_limits<double>::quiet_NaN();
    if (!value.is_null() && value.get(number) != simdjson::SUCCESS) continue;
    use(std::string(name), number);
  }
}

std::string error_name(const schema::Field& field) {
  return std::string(field.name) + std::string(schema::kErrorSuffix);
}

SummaryMean mean_at(Element line, const schema::Field& field) {
  const std::string name = std::string(schema::kEvalPrefix) + std::string(field.name);
  return {.value = number_at(line, name), .error = number_at(line, name + std::string(schema::kErrorSuffix))};
}

void take_means(Element line, const schema::Field& field, SummaryMean SummaryGroup::*mean,
                std::map<std::string, SummaryGroup>& groups) {
  for_each_group(line, field.name, [&](const std::string& name, double value) { (groups[name].*mean).value = value; });
  for_each_group(line, error_name(field), [&](const std::string& name, double value) {
    const auto found = groups.find(name);
    if (found != groups.end() && std::isfinite(value)) (found->second.*mean).error = value;
  });
}

SummaryEvaluation evaluation_of(Element line) {
  SummaryEvaluation evaluation{.step = step_at(line).value_or(0),
                               .loss = mean_at(line, schema::kLoss),
                               .accuracy = mean_at(line, schema::kRewardsAccuracies),
                               .groups = {}};
  take_means(line, schema::kGroupLoss, &SummaryGroup::loss, evaluation.groups);
  take_means(line, schema::kGroupAccuracy, &SummaryGroup::accuracy, evaluation.groups);
  for_each_group(line, schema::kGroupCount.name, [&](const std::string& name, double value) {
    const auto found = evaluation.groups.find(name);
    if (found != evaluation.groups.end()) found->second.pairs = value;
  });
  return evaluation;
}

bool is_speed(std::string_view name) {
  return name == schema::kPairsPerSecond.name || name == schema::kTokensPerSecond.name;
}

bool is_flat(std::string_view name) { return name.starts_with("group/") || name.starts_with("eval_group/"); }

// The numbers at the top of a line, without what another run of the same job has differently.
std::string entry_of(Element line, bool with_groups) {
  nlohmann::ordered_json entry;
  simdjson::dom::object object;
  if (line.get(object) != simdjson::SUCCESS) return "";
  for (const auto& [name, value] : object) {
    if (is_speed(name) || (!with_groups && is_flat(name))) continue;
    if (value.is_int64()) {
      entry[std::string(name)] = value.get_int64().value_unsafe();
    } else if (value.is_uint64()) {
      entry[std::string(name)] = value.get_uint64().value_unsafe();
    } else if (value.is_double()) {
      entry[std::string(name)] = value.get_double().value_unsafe();
    } else if (value.is_null()) {
      entry[std::string(name)] = nullptr;
    }
  }
  return entry.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// Which evaluation a job with early_stopping takes for the best: EarlyStopping of worker/training in the same words.
class BestEvaluation {
 public:
  explicit BestEvaluation(const v1::JobSpec& job)
      : is_wanted_(job.training().has_early_stopping()), settings_(job.training().early_stopping()) {}

  // True where it is the best so far.
  bool observe(std::int64_t step, const std::map<std::string, double>& numbers) {
    if (!is_wanted_) return false;
    auto found = numbers.find(settings_.metric());
    const std::string_view metric = settings_.metric();
    if (found == numbers.end() && metric.starts_with(schema::kEvalPrefix)) {
      found = numbers.find(std::string(metric.substr(schema::kEvalPrefix.size())));
    }
    if (found == numbers.end() || !std::isfinite(found->second)) return false;
    const double value = found->second, delta = settings_.min_delta();
    const bool is_max = settings_.mode() == v1::STOP_MODE_MAX;
    if (best_ && !(is_max ? value > *best_ + delta : value < *best_ - delta)) return false;
    best_ = value;
    step_ = step;
    return true;
  }
  bool keeps() const { return is_wanted_ && settings_.keep_best(); }
  std::optional<double> value() const { return best_; }
  std::int64_t step() const { return step_; }

 private:
  const bool is_wanted_;
  const v1::EarlyStoppingSpec settings_;
  std::optional<double> best_;
  std::int64_t step_ = 0;
};

// What is collected while metrics.jsonl is read once.
class MetricsCollector {
 public:
  explicit MetricsCollector(RunSummary& summary) : summary_(summary), best_(summary.job) {}

  void take(std::string_view text, MetricsLineKind kind) {
    const std::int64_t line = ++lines_;
    if (kind == MetricsLineKind::kOther || kind == MetricsLineKind::kTest) return;
    if (kind == MetricsLineKind::kStep) count_step(text);
    // Most lines of a long run are only looked at where they are the last.
    if (kind == MetricsLineKind::kStep && !steps_.keeps_next() && !training_.keeps_next()) {
      judge_pending();
      steps_.pass();
      training_.pass();
      passed_line_ = line;
      newest_ = passed_ = std::string(text);
      return;
    }
    Element element;
    if (parser_.parse(text.data(), text.size()).get(element) != simdjson::SUCCESS) return;
    const auto step = step_at(element);
    if (!step) return;
    if (kind != MetricsLineKind::kFileEvaluation) judge_pending();
    switch (kind) {
      case MetricsLineKind::kStep:
        take_step(element, *step, text, line);
        break;
      case MetricsLineKind::kEvaluation:
        take_evaluation(element, *step, text, line);
        break;
      case MetricsLineKind::kFileEvaluation:
        add_entry(evaluations_, element, line);
        add_numbers(element);
        break;
      default:
        take_change(element, *step);
    }
  }

  void finish() {
    take_passed();
    judge_pending();
    judge_last();
    summary_.training_lines = training_.take();
    summary_.evaluation_lines = validation_.take();
    summary_.log_history = steps_.take();
    std::ranges::move(evaluations_.take(), std::back_inserter(summary_.log_history));
    std::ranges::sort(summary_.log_history, {}, &SummaryEntry::line);
    if (last_) summary_.after = evaluation_of_text(*last_);
    if (best_.keeps() && best_text_) summary_.after = evaluation_of_text(*best_text_);
    summary_.best_metric = best_.value();
    summary_.best_step = best_.step();
    take_weights();
  }

 private:
  using Entries = ThinnedList<SummaryEntry>;

  // By the text, as most lines are not parsed: the flag stands before what there is of groups.
  void count_step(std::string_view text) {
    static const std::string kMark = "\"" + std::string(schema::kSkipped.name) + "\":true";
    constexpr std::size_t kBeforeGroups = 512;
    ++summary_.step_lines;
    if (text.substr(0, kBeforeGroups).find(kMark) != std::string_view::npos) ++summary_.skipped_lines;
  }

  void note_progress(Element line, std::int64_t step) {
    summary_.steps = std::max(summary_.steps, step);
    if (const auto epoch = number_at(line, schema::kEpoch.name); epoch && std::isfinite(*epoch)) {
      summary_.epoch = std::max(summary_.epoch, *epoch);
    }
    std::int64_t tokens = 0;
    if (line[schema::kNumTokens.name].get(tokens) == simdjson::SUCCESS) {
      summary_.tokens = std::max(summary_.tokens, tokens);
    }
  }

  void add_entry(Entries& entries, Element line, std::int64_t number) {
    if (!has_few_groups_) {
      simdjson::dom::object groups;
      if (line[schema::kGroupWeight.name].get(groups) == simdjson::SUCCESS) {
        has_few_groups_ = groups.size() <= kMostFlatGroups;
      }
    }
    std::string text = entry_of(line, has_few_groups_.value_or(true));
    const std::size_t bytes = text.size();
    entries.add({.line = number, .text = std::move(text)}, bytes);
  }

  // The last step's line.
  void take_passed() {
    Element line;
    if (!passed_ || parser_.parse(*passed_).get(line) != simdjson::SUCCESS) return;
    note_progress(line, step_at(line).value_or(0));
    steps_.set_last({.line = passed_line_, .text = entry_of(line, has_few_groups_.value_or(true))});
    training_.set_last(std::move(*passed_));
  }

  void take_step(Element line, std::int64_t step, std::string_view text, std::int64_t number) {
    note_progress(line, step);
    add_entry(steps_, line, number);
    passed_.reset();
    training_.add(std::string(text), text.size());
    newest_ = std::string(text);
  }

  void take_evaluation(Element line, std::int64_t step, std::string_view text, std::int64_t number) {
    note_progress(line, step);
    add_entry(evaluations_, line, number);
    validation_.add(std::string(text), text.size());
    newest_ = last_ = std::string(text);
    if (!summary_.before) summary_.before = evaluation_of(line);
    pending_step_ = step;
    pending_.clear();
    add_numbers(line);
  }

  void add_numbers(Element line) {
    std::string_view split;
    if (!pending_step_ || line[schema::kSplit.name].get(split) != simdjson::SUCCESS) return;
    const std::size_t slash = split.find('/');
    const std::string file = slash == std::string_view::npos ? "" : std::string(split.substr(slash + 1)) + "_";
    simdjson::dom::object object;
    if (line.get(object) != simdjson::SUCCESS) return;
    for (const auto& [name, value] : object) {
      double number = 0;
      if (value.get(number) != simdjson::SUCCESS) continue;
      pending_[name.starts_with(schema::kEvalPrefix) ? std::string(name) : file + std::string(name)] = number;
    }
  }

  // Those of several files belong to one evaluation. What people have asked for between two evaluations that the job
  // makes decides nothing.
  void judge_pending() {
    if (!pending_step_) return;
    const std::int64_t step = *pending_step_, every = summary_.job.evaluation().every_steps();
    pending_step_.reset();
    const bool is_first = evaluations_judged_++ == 0;
    if (!is_first && !(every > 0 && step % every == 0)) {
      unjudged_ = {step, pending_};
      unjudged_text_ = *last_;
      return;
    }
    unjudged_.reset();
    if (best_.observe(step, pending_)) best_text_ = last_;
  }

  // The last evaluation is the job's own where it ended there.
  void judge_last() {
    if (unjudged_ && unjudged_->first == summary_.steps && best_.observe(unjudged_->first, unjudged_->second)) {
      best_text_ = unjudged_text_;
    }
  }

  void take_change(Element line, std::int64_t step) {
    SummaryChange change{.step = step, .setting = {}, .from = {}, .to = {}, .requester = {}};
    std::string_view text;
    if (line[schema::kSetting.name].get(text) != simdjson::SUCCESS) return;
    change.setting = text;
    change.from = number_at(line, schema::kFrom.name);
    change.to = number_at(line, schema::kTo.name);
    if (line[schema::kRequester.name].get(text) == simdjson::SUCCESS) change.requester = text;
    if (change.setting == "max_steps" && change.to) summary_.max_steps = static_cast<std::int64_t>(*change.to);
    if (summary_.changes.size() < kMostNotedChanges) summary_.changes.push_back(std::move(change));
  }

  std::optional<SummaryEvaluation> evaluation_of_text(const std::string& text) {
    Element line;
    if (parser_.parse(text).get(line) != simdjson::SUCCESS) return std::nullopt;
    return evaluation_of(line);
  }

  void take_weights() {
    Element line;
    if (!newest_ || parser_.parse(*newest_).get(line) != simdjson::SUCCESS) return;
    for_each_group(line, schema::kGroupWeight.name,
                   [&](const std::string& name, double value) { summary_.weights.emplace_back(name, value); });
  }

  RunSummary& summary_;
  BestEvaluation best_;
  simdjson::dom::parser parser_;
  std::int64_t lines_ = 0;
  std::optional<bool> has_few_groups_;
  Entries steps_{kMostEntries, kMostEntryBytes}, evaluations_{kMostEntries, kMostEntryBytes};
  ThinnedList<std::string> training_{kMostCurvePoints, kMostCurveBytes};
  ThinnedList<std::string> validation_{kMostCurvePoints, kMostCurveBytes};
  std::optional<std::string> newest_, last_, best_text_;  // lines
  std::optional<std::string> passed_;                     // the newest step's, where it was passed by
  std::int64_t passed_line_ = 0;
  std::optional<std::int64_t> pending_step_;
  std::map<std::string, double> pending_;
  std::optional<std::pair<std::int64_t, std::map<std::string, double>>> unjudged_;
  std::string unjudged_text_;
  std::int64_t evaluations_judged_ = 0;
};

void take_attempt(const LedgerAttempt& attempt, RunSummary& summary) {
  summary.max_steps = attempt.plan.end_step;
  const auto& origin = attempt.origin;
  const bool is_of_another = origin && !origin->job_id.empty() && origin->job_id != attempt.job_id;
  if (summary.attempts.empty() && is_of_another) summary.parent = {.job_id = origin->job_id, .step = origin->step};
  if (summary.attempts.size() >= kMostNotedAttempts) return;
  summary.attempts.push_back({.job_id = attempt.job_id,
                              .program = attempt.program,
                              .device = attempt.device,
                              .generation = attempt.generation,
                              .first_step = attempt.plan.first_step,
                              .ranks = attempt.plan.world_size,
                              .is_from_checkpoint = attempt.origin.has_value()});
}

void read_ledger(const fs::path& file, const std::function<void(std::int64_t)>& on_bytes, RunSummary& summary) {
  LedgerReader reader(file, on_bytes);
  LedgerRecord record;
  while (reader.next(record)) {
    if (record.kind == LedgerKind::kStart) {
      const LedgerStart start = start_of_record(record.content);
      summary.dataset = start.dataset;
      for (std::size_t g = 0; g < std::min(start.group_names.size(), start.counted_K.size()); ++g) {
        summary.training_pairs.emplace_back(start.group_names[g], start.counted_K[g]);
      }
    } else if (record.kind == LedgerKind::kAttempt) {
      take_attempt(attempt_of_record(record.content), summary);
    } else if (record.kind == LedgerKind::kCheckpoint) {
      summary.checkpoints.push_back(checkpoint_of_record(record.content).step);
    } else if (record.kind == LedgerKind::kEnd) {
      summary.has_ended = true;
      summary.steps = end_of_record(record.content).final_step;
    }
  }
}

}  // namespace

std::string SummaryEvaluation::worst() const {
  const auto found = worst_group(groups, [](const auto& named) { return named.second.loss.value; });
  return found == groups.end() ? "" : found->first;
}

SummaryMean SummaryEvaluation::lowest_accuracy() const {
  SummaryMean lowest;
  for (const auto& [name, group] : groups) {
    if (!group.accuracy.value || !std::isfinite(*group.accuracy.value)) continue;
    if (!lowest.value || *group.accuracy.value < *lowest.value) lowest = group.accuracy;
  }
  return lowest;
}

RunSummary read_run_summary(const fs::path& run, const std::function<void(std::int64_t)>& on_bytes,
                            const ReadingLimits& limits) {
  RunSummary summary;
  const fs::path whole = fs::absolute(run).lexically_normal();
  summary.folder_name = (whole.filename().empty() ? whole.parent_path() : whole).filename().string();
  summary.job = read_job_file(run / "job.yaml", {});
  std::error_code ignored;
  if (fs::exists(run / kLedgerName, ignored)) {
    try {
      read_ledger(run / kLedgerName, on_bytes, summary);
    } catch (const std::invalid_argument& fault) {
      // Without where the run is on this machine.
      std::string note = fault.what();
      const std::string path = (run / kLedgerName).string();
      if (note.starts_with(path)) note.replace(0, path.size(), kLedgerName);
      summary.notes.push_back(std::move(note));
    }
  } else {
    summary.has_ended = fs::is_directory(run / "final", ignored);
    summary.notes.push_back(std::string(kLedgerName) + " is not there: attempts and checkpoints are not known");
  }
  MetricsCollector collector(summary);
  const ReadLines read = read_metrics_lines(
      run / schema::kFileName, limits,
      [&collector](std::string_view line, MetricsLineKind kind) { collector.take(line, kind); }, on_bytes);
  collector.finish();
  summary.is_sampled = read.is_sampled;
  return summary;
}

}  // namespace equipoise
