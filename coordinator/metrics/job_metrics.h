// What Prometheus sees of jobs and of the coordinator; names and meanings are in coordinator/metrics/metric_names.h.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/lifecycle/clock.h"
#include "coordinator/lifecycle/restart_policy.h"
#include "coordinator/membership/membership.h"
#include "coordinator/metrics/job_series.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

struct UnusedHosts {
  std::size_t cordoned = 0;     // until somebody uncordons them
  std::size_t unanswering = 0;  // until they answer
};

// Of the hostfile; none without one.
struct SlotCounts {
  int free = 0;
  int used = 0;
  int unavailable = 0;  // free, on hosts that are not used
};

// What became of a step that was reported.
enum class StepOutcome {
  kCounted,   // it moved the weights, for the first time
  kSkipped,   // it did not, as the loss of a group was not finite
  kRepeated,  // an attempt before had done it, and was lost before a checkpoint had it
};

struct BuildInfo {
  std::string version, revision;
};

// Not thread-safe, except count_rpc() and what is of the webhook; what collectable() gives may be scraped at any time.
class JobMetrics {
 public:
  using Duration = std::chrono::steady_clock::duration;

  JobMetrics();
  std::shared_ptr<prometheus::Collectable> collectable() const { return all_; }

  void show_build(const BuildInfo& build);
  void show_info(const v1::TrainingJob& job);
  void show_state(const std::string& job_id, v1::JobState state);
  // `taken` more in this state.
  void count_time(const std::string& job_id, v1::JobState state, Duration taken);
  // Of all jobs that there are.
  void show_jobs(const std::map<v1::JobState, std::size_t>& jobs);
  void show_slots(const SlotCounts& slots);
  void show_workers(const std::string& job_id, RankCounts counts);
  void show_stall(const std::string& job_id, Duration longest);
  void show_ranks(const std::string& job_id, const RankActivity& ranks);
  // Step and group weights of `job`.
  void show_step(const v1::TrainingJob& job);
  // A step of `job` was reported at `time`; taken: since the one before, where that says how long it took.
  void count_step(const std::string& job_id, StepOutcome outcome, std::optional<Duration> taken, WallTime time);
  void show_report(const v1::TrainingJob& job, const v1::ReportMetricsRequest& request);
  // The newest checkpoint of `job`; no series while there is none.
  void show_checkpoint(const v1::TrainingJob& job);
  void count_checkpoint(const v1::CommitCheckpointRequest& request, WallTime time);
  void count_restart(const std::string& job_id, RestartCause cause);
  void count_skipped(const v1::TrainingJob& job, const v1::ReportStepRequest& request);
  void observe_weight_update(const std::string& job_id, double seconds);
  void show_state_writable(bool is_writable) { all_->state_writable.Set(is_writable ? 1 : 0); }
  void show_state_disk(std::uint64_t free_bytes, std::uint64_t total_bytes);
  void show_database(std::uint64_t bytes) { all_->database_bytes.Set(static_cast<double>(bytes)); }
  void show_hosts(UnusedHosts hosts);
  // From any thread. `code` is a gRPC status name.
  void count_rpc(const std::string& method, const std::string& code);
  // The same of the webhook's; no series before the first of them.
  void count_webhook(const std::string& outcome);
  void show_webhook_age(std::chrono::seconds age);

  // Removes every series of a job, in a time that depends on these alone.
  void remove_job(const std::string& job_id);

 private:
  // Of one job. Pointers to series that are looked up once, as each step moves them.
  struct OfJob {
    std::vector<prometheus::Gauge*> weights;  // by group id
    prometheus::Gauge *step = nullptr, *planned_steps = nullptr, *step_time = nullptr;
    std::array<prometheus::Counter*, 3> step_seconds{};  // by StepOutcome
    std::int64_t pairs = 0, tokens = 0;                  // as last reported
    double counted_seconds = 0, attempt_seconds = 0;     // whose ratio is the goodput
    std::map<std::string, double> worst_loss;            // at the newest evaluation, by split
  };
  void show_groups(const v1::TrainingJob& job, const v1::ReportMetricsRequest& request, const std::string& split);
  void show_worst_loss(const std::string& job_id, const std::string& split, double loss, bool is_evaluation);
  void count_trained(const v1::ReportMetricsRequest& request);

  // Every series; a scrape that has begun keeps it.
  struct All final : prometheus::Collectable {
    All();
    std::vector<prometheus::MetricFamily> Collect() const override;

    JobSeries<prometheus::Gauge> group_weight, group_loss, group_reward_accuracy, worst_group_loss, train_step;
    JobSeries<prometheus::Counter> train_pairs, train_tokens;
    JobSeries<prometheus::Histogram> step_seconds, weight_update_seconds;
    JobSeries<prometheus::Gauge> workers, rank_stalled_seconds, job_state, checkpoint_step;
    JobSeries<prometheus::Counter> checkpoints, restarts, skipped_steps, skipped_gradients;
    JobSeries<prometheus::Gauge> job_info, planned_steps, last_step_time, goodput, rising_evaluations;
    JobSeries<prometheus::Gauge> checkpoint_time, checkpoint_bytes, checkpoint_duration, ranks, rank_lag;
    JobSeries<prometheus::Counter> step_time, job_state_time;
    const std::vector<AnyJobSeries*> of_jobs;  // all of the above
    prometheus::Registry registry;
    prometheus::Gauge& state_writable;
    prometheus::Gauge& state_free_bytes;
    prometheus::Gauge& state_disk_bytes;
    prometheus::Gauge& database_bytes;
    prometheus::Gauge& cordoned_hosts;
    prometheus::Gauge& unanswering_hosts;
    prometheus::Family<prometheus::Gauge>& jobs;
    prometheus::Family<prometheus::Gauge>& slots;
    prometheus::Family<prometheus::Gauge>& build_info;
    prometheus::Family<prometheus::Gauge>& webhook_age;
    prometheus::Family<prometheus::Counter>& webhook_tries;
    prometheus::Family<prometheus::Counter>& rpc_requests;
  };
  const std::shared_ptr<All> all_;
  std::unordered_map<std::string, OfJob> of_job_;
};

}  // namespace equipoise::coordinator
