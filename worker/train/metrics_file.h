// metrics.jsonl of a run: one JSON object a line (metrics_line.h).
#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "worker/train/early_stopping.h"
#include "worker/train/metrics_line.h"

namespace equipoise {

class MetricsFile {
 public:
  // Starts an empty file. Throws std::invalid_argument if it cannot.
  MetricsFile(const std::filesystem::path& path, LineSettings settings);
  MetricsFile(const std::filesystem::path& path, std::vector<std::string> train_groups,
              std::vector<std::string> validation_groups, Rewards rewards, ExtraMetrics extra = {});

  // alpha_K  [K] over the training groups, after the step. These throw std::runtime_error when the disk refuses; each
  // line is flushed whole.
  void write_step(LinePosition position, const StepResult& result, std::span<const double> alpha_K, Speed speed);
  // These return the numbers at the top of the line, those of one file by names with the file's in them.
  EvaluationNumbers write_evaluation(LinePosition position, const BatchSums& sums, std::span<const double> alpha_K);
  EvaluationNumbers write_file(LinePosition position, const std::string& file, const BatchSums& sums);

 private:
  void write(const MetricsLine& line);

  std::filesystem::path path_;
  std::ofstream file_;
  LineSettings settings_;
};

// The names that evaluations of data with pairs of these groups have numbers for. What a group of a single pair lacks
// is among them.
//   count_K  [K] over settings.validation_groups, > 0 for a group that has pairs
EvaluationNumbers expected_numbers(const LineSettings& settings, std::span<const double> count_K);
EvaluationNumbers expected_file_numbers(const LineSettings& settings, const std::string& file,
                                        std::span<const double> count_K);

}  // namespace equipoise
