// Rank 0's account of a run: metrics.jsonl and the values that the coordinator shows to people.
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <string>
#include <vector>

#include "worker/client/coordinator_client.h"
#include "worker/train/attempt.h"
#include "worker/train/evaluation.h"
#include "worker/train/metrics_file.h"

namespace equipoise {

LineSettings line_settings(const JobConfig& config, const TrainingData& data);

// The coordinator gets at most two reports a second, and the last one.
class RunReport {
 public:
  // `client`, `log` and `weights`, whose alpha the lines have, outlive it. `metrics_path` is made anew.
  RunReport(CoordinatorClient& client, spdlog::logger& log, AttemptId attempt, const CoordinatorWeights& weights,
            const std::filesystem::path& metrics_path, const JobConfig& config, const TrainingData& data);

  void step_done(LinePosition position, const StepResult& result);
  // Returns the numbers at the top of the lines that it writes.
  EvaluationNumbers evaluated(LinePosition position, const EvaluationSums& sums);
  // Sends what the pace has held back.
  void finish();

 private:
  void log_skip(std::int64_t step, const StepResult& result);
  void send(v1::ReportMetricsRequest& request);
  void send_training();
  void send_evaluation(LinePosition position, const BatchSums& sums, const std::string& file);

  CoordinatorClient& client_;
  spdlog::logger& log_;
  const AttemptId attempt_;
  const CoordinatorWeights& weights_;
  const LoggingConfig logging_;
  const bool has_rewards_;  // SFT has none, and so no accuracy
  const std::size_t num_groups_;
  const std::vector<std::string> validation_files_;  // names
  MetricsFile file_;
  v1::ReportMetricsRequest held_;  // training values since the last report
  bool holds_ = false;
  double pairs_total_ = 0, tokens_total_ = 0, sequence_tokens_total_ = 0;
  struct Mark {
    std::chrono::steady_clock::time_point time;
    double pairs = 0, tokens = 0;
  };
  Mark last_line_, last_report_;
};

}  // namespace equipoise
