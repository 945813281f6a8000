// Runs side by side, group by group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/console/console.h"
#include "client/table/text_table.h"

namespace equipoise {

// What a run's metrics.jsonl says about its groups before the first step and after the last.
struct GroupResult {
  std::optional<double> loss;      // NaN where the file has null, for a loss that is not finite
  std::optional<double> accuracy;  // chosen reward above rejected
  std::optional<double> weight;
  // Standard errors; none where the file has none, as that of a log-linear job or of a group of one pair.
  std::optional<double> loss_error;
  std::optional<double> accuracy_error;
};

struct Evaluation {
  std::int64_t step = 0;
  std::map<std::string, GroupResult> groups;
};

struct RunMetrics {
  std::string name;                      // of the run's folder
  std::vector<std::string> group_names;  // in the order of the file
  Evaluation before;                     // the first evaluation
  Evaluation after;                      // the last; the same as `before` where there is one only
};

// `run` is a run's folder or its metrics.jsonl. Reads the lines with split "validation". A last line that is still
// being written is left out. Throws std::invalid_argument naming file, line and field: not readable, not JSON, a value
// of the wrong type, no evaluation in it, a run's final/ in place of the run.
RunMetrics read_run_metrics(const std::filesystem::path& run);

// A table with a row per group and, for each run, validation loss and reward accuracy before and after, the latter with
// its standard error where the run has it; a star marks the worst group after the run. The last row is each run's
// worst: highest loss, lowest accuracy. Below it a sentence per run names the worst group, and one for each run after
// the first says how far its worst values are from the first one's. Where the table is wider than `columns`, runs go
// into several tables below each other.
std::string run_comparison(std::span<const RunMetrics> runs, std::size_t columns, Colors colors, Glyphs glyphs);

// The same for a document, all runs in one table; as CSV a row for each run and group with its numbers alone. `format`
// is not kText.
std::string run_comparison_markup(std::span<const RunMetrics> runs, TableFormat format);

// For programs: every number of every run as it is, null where there is none.
std::string run_comparison_json(std::span<const RunMetrics> runs);

}  // namespace equipoise
