// Rank 0's account of a run: metrics.jsonl and the values that the coordinator shows to people.
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "equipoise/v1/worker.pb.h"
#include "worker/client/coordinator_client.h"
#include "worker/training/attempt.h"
#include "worker/training/metrics_file.h"
#include "worker/training/tensorboard_file.h"
#include "worker/training/weight_sync.h"

namespace equipoise {

// As the fields of metrics.jsonl.
struct ChangedSetting {
  std::string setting;
  std::optional<double> from;
  double to = 0;
  std::int64_t version = 0;
  std::string requester;  // empty: not known
};

// The coordinator gets at most two reports a second, and the last one.
class RunReport {
 public:
  struct Parts {
    CoordinatorClient& client;
    spdlog::logger& log;
    const AttemptId& attempt;
    const JobConfig& config;
    const TrainedPolicy& policy;
    WeightSync& weights;    // whose alpha the lines have
    DiskPatience patience;  // for room on the disk; empty: none
  };
  // All parts outlive it. Makes metrics.jsonl in config.output anew, or goes on after the bytes of it that are kept.
  // Throws std::invalid_argument if it cannot, DiskFault where the disk is full; the functions below throw as
  // throw_write_fault().
  RunReport(const Parts& parts, const TensorboardFile::Beginning& beginning);

  // What a checkpoint keeps of it, once write_lines() has been called, beside metrics.jsonl.
  CheckpointJson state() const;
  // Throws std::invalid_argument where `state` is none.
  void restore(const CheckpointJson& state);
  MetricsFile& file() { return file_; }

  void step_done(std::int64_t steps_done, const StepOutcome& outcome);
  // Returns the numbers at the top of the lines that it writes.
  EvaluationNumbers evaluated(std::int64_t steps_done, const std::vector<ValidationMeans>& evaluation);
  // The line of the test of the trained policy.
  void tested(std::int64_t steps_done, const MetricsFields& test);
  // The line of a setting that holds from the next step on.
  void setting_changed(std::int64_t steps_done, const ChangedSetting& changed);
  // Writes and sends what waits for alpha or for the pace.
  void finish();
  // Writes what waits for alpha.
  void write_lines();

  // As the lines show it, after the last step whose alpha is known. Mode none learns no weights: of a log-linear policy
  // uniform ones are shown, as the paper's program reports them, else the groups' shares.
  std::vector<double> alpha_K() const;

 private:
  LinePosition position(std::int64_t steps_done) const;
  void write(const MetricsJson& line);
  void log_skip(std::int64_t steps_done, const StepOutcome& outcome) const;
  void hold_line(std::int64_t steps_done, const StepOutcome& outcome);
  void write_held_line();
  void send(v1::ReportMetricsRequest& request);
  void send_training();
  void send_evaluation(std::int64_t steps_done, const ValidationMeans& pairs);

  Parts parts_;
  MetricsFile file_;
  std::optional<TensorboardFile> tensorboard_;  // where the job wants one
  v1::ReportMetricsRequest held_;               // phases of the steps since the last report
  std::int64_t unreported_step_ = 0;            // 0: none
  struct Totals {
    double pairs = 0, tokens = 0, sequence_tokens = 0;
  };
  Totals totals_;
  struct Mark {
    std::chrono::steady_clock::time_point time;
    Totals totals;
  };
  Mark last_line_, last_report_;
  // A step's line waits until alpha after the step is known, so that no step waits for a line.
  struct HeldLine {
    LinePosition position;
    bool is_skipped = false;
    StepNumbers numbers;
    Speed speed;
  };
  std::optional<HeldLine> held_line_;
};

}  // namespace equipoise
