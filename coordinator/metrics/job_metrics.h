// What Prometheus sees of jobs and of the coordinator; names and meanings are in coordinator/metrics/metric_names.h.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

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

// Not thread-safe, except count_rpc(); what collectable() gives may be scraped at any time.
class JobMetrics {
 public:
  JobMetrics();
  std::shared_ptr<prometheus::Collectable> collectable() const { return all_; }

  void show_state(const std::string& job_id, v1::JobState state);
  void show_workers(const std::string& job_id, RankCounts counts);
  void show_stall(const std::string& job_id, std::chrono::steady_clock::duration longest);
  // Step and group weights of `job`.
  void show_step(const v1::TrainingJob& job);
  void show_report(const v1::TrainingJob& job, const v1::ReportMetricsRequest& request);
  // The newest checkpoint of `job`; no series while there is none.
  void show_checkpoint(const v1::TrainingJob& job);
  void count_checkpoint(const std::string& job_id);
  void count_restart(const std::string& job_id, RestartCause cause);
  void count_skipped(const v1::TrainingJob& job, const v1::ReportStepRequest& request);
  void observe_weight_update(const std::string& job_id, double seconds);
  void show_state_writable(bool is_writable) { all_->state_writable.Set(is_writable ? 1 : 0); }
  void show_state_free(std::uint64_t bytes) { all_->state_free_bytes.Set(static_cast<double>(bytes)); }
  void show_hosts(UnusedHosts hosts) {
    all_->cordoned_hosts.Set(static_cast<double>(hosts.cordoned));
    all_->unanswering_hosts.Set(static_cast<double>(hosts.unanswering));
  }
  // From any thread. `code` is a gRPC status name.
  void count_rpc(const std::string& method, const std::string& code);

  // Removes every series of a job, in a time that depends on these alone.
  void remove_job(const std::string& job_id);

 private:
  struct Totals {
    std::int64_t pairs = 0;
    std::int64_t tokens = 0;
  };
  void show_groups(const v1::TrainingJob& job, const v1::ReportMetricsRequest& request, const std::string& split);
  void count_trained(const v1::ReportMetricsRequest& request);

  // Every series; a scrape that has begun keeps it.
  struct All final : prometheus::Collectable {
    All();
    std::vector<prometheus::MetricFamily> Collect() const override;

    JobSeries<prometheus::Gauge> group_weight, group_loss, group_reward_accuracy, worst_group_loss, train_step;
    JobSeries<prometheus::Counter> train_pairs, train_tokens;
    JobSeries<prometheus::Histogram> step_seconds, weight_update_seconds;
    JobSeries<prometheus::Gauge> workers, rank_stalled_seconds, job_state, checkpoint_step;
    JobSeries<prometheus::Counter> checkpoints, restarts, skipped_steps;
    prometheus::Registry registry;
    prometheus::Gauge& state_writable;
    prometheus::Gauge& state_free_bytes;
    prometheus::Gauge& cordoned_hosts;
    prometheus::Gauge& unanswering_hosts;
    prometheus::Family<prometheus::Counter>& rpc_requests;
  };
  const std::shared_ptr<All> all_;
  std::unordered_map<std::string, std::vector<prometheus::Gauge*>> weight_gauges_;  // of a job, by group id
  std::unordered_map<std::string, Totals> totals_;                                  // as last reported
};

}  // namespace equipoise::coordinator
