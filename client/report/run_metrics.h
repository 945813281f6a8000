// What a run's metrics.jsonl says about its groups before the first step and after the last.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace equipoise {

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

}  // namespace equipoise
