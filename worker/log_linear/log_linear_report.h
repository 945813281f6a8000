// Rank 0's account of a log-linear run: metrics.jsonl, the values that the coordinator shows to people, and the final
// parameters.
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/log_linear/evaluation.h"
#include "worker/log_linear/log_linear_step.h"
#include "worker/log_linear/weight_sync.h"
#include "worker/train/early_stopping.h"

namespace equipoise {

// Mean loss of each group over the validation pairs.
struct ValidationLosses {
  std::vector<double> loss_K;
  std::vector<double> pair_count_K;
};

// What LogLinearReport::evaluated() will have numbers for; their values mean nothing.
EvaluationNumbers expected_numbers(const RobustConfig& robust);

class LogLinearReport {
 public:
  struct Parts {
    CoordinatorClient& client;
    spdlog::logger& log;
    const AttemptId& attempt;
    const JobConfig& config;
    const LogLinearData& data;
    WeightSync& weights;
  };
  // All parts outlive it. Makes metrics.jsonl anew. Throws std::invalid_argument if it cannot; the functions below
  // throw std::runtime_error when the disk refuses.
  explicit LogLinearReport(const Parts& parts);

  // The coordinator gets at most two reports a second.
  void step_done(std::int64_t steps_done, const LogLinearStep& step);
  // Returns the numbers at the top of the line that it writes.
  EvaluationNumbers evaluated(std::int64_t steps_done, const LogLinearStep& step, const ValidationLosses& validation);
  // The last line: rewards of the final policy in the states of data.test.
  void tested(std::int64_t steps_done, const log_linear::RewardReport& report, std::span<const double> theta_D);
  // Sends what the pace has held back and writes final/theta.json.
  void finish(std::int64_t steps_done, const LogLinearStep& step);

 private:
  std::vector<double> shown_alpha_K();
  void write_step(std::int64_t steps_done, const LogLinearStep& step);
  void send_training(std::int64_t steps_done, const LogLinearStep& step);
  void send(v1::ReportMetricsRequest& request);

  Parts parts_;
  std::vector<double> train_baseline_K_, validation_baseline_K_;  // empty without robust.baseline
  std::filesystem::path path_;
  std::ofstream file_;
  double pairs_total_ = 0;
  struct Mark {
    std::chrono::steady_clock::time_point time;
    double pairs = 0;
    std::int64_t steps = 0;
  };
  Mark last_line_, last_report_;
};

}  // namespace equipoise
