// What Prometheus sees of jobs and of the coordinator; names and meanings are in coordinator/metrics/metric_names.h.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/base/error.h"
#include "coordinator/lifecycle/restart_policy.h"
#include "coordinator/membership/membership.h"
#include "coordinator/metrics/metric_names.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// One Prometheus metric whose first label is the job, with all of a job's series removable at once.
prometheus::Labels labels_of(const metrics::Metric& metric, const std::vector<std::string>& values);

// `T` is prometheus::Gauge, Counter or Histogram; `Builder` e.g. prometheus::BuildGauge. Not thread-safe, but may be
// scraped at any time.
template <typename T>
class JobSeries {
 public:
  template <typename Builder>
  JobSeries(prometheus::Registry& registry, const metrics::Metric& metric, Builder build)
      : metric_(metric),
        family_(build().Name(std::string(metric.name)).Help(std::string(metric.help)).Register(registry)) {
    EQUIPOISE_CHECK(metric.labels().front() == metrics::kJob);
  }

  // The series with these labels, made if it is not there; `values` in the order of the metric's labels, the job first.
  template <typename... Arguments>
  T& at(const std::vector<std::string>& values, Arguments&&... arguments) {
    T& series = family_.Add(labels_of(metric_, values), std::forward<Arguments>(arguments)...);
    series_of_job_[values.front()].insert(&series);
    return series;
  }

  void remove_job(const std::string& job) {
    const auto known = series_of_job_.find(job);
    if (known == series_of_job_.end()) return;
    for (T* series : known->second) family_.Remove(series);
    series_of_job_.erase(known);
  }

 private:
  const metrics::Metric& metric_;
  prometheus::Family<T>& family_;
  std::unordered_map<std::string, std::unordered_set<T*>> series_of_job_;
};

// Not thread-safe, except count_rpc(); the registry may be scraped at any time.
class JobMetrics {
 public:
  JobMetrics();
  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

  void show_state(const std::string& job_id, v1::JobState state);
  void show_workers(const std::string& job_id, RankCounts counts);
  // Step and group weights of `job`.
  void show_step(const v1::TrainingJob& job);
  void show_report(const v1::TrainingJob& job, const v1::ReportMetricsRequest& request);
  // The newest checkpoint of `job`; no series while there is none.
  void show_checkpoint(const v1::TrainingJob& job);
  void count_checkpoint(const std::string& job_id);
  void count_restart(const std::string& job_id, RestartCause cause);
  void count_skipped(const v1::TrainingJob& job, const v1::ReportStepRequest& request);
  void observe_weight_update(const std::string& job_id, double seconds);
  void show_state_writable(bool is_writable) { state_writable_.Set(is_writable ? 1 : 0); }
  void show_state_free(std::uint64_t bytes) { state_free_bytes_.Set(static_cast<double>(bytes)); }
  // From any thread. `code` is a gRPC status name.
  void count_rpc(const std::string& method, const std::string& code);

  // Removes every series of a job.
  void remove_job(const std::string& job_id);

 private:
  struct Totals {
    std::int64_t pairs = 0;
    std::int64_t tokens = 0;
  };
  void show_groups(const v1::TrainingJob& job, const v1::ReportMetricsRequest& request, const std::string& split);
  void count_trained(const v1::ReportMetricsRequest& request);

  std::shared_ptr<prometheus::Registry> registry_;
  JobSeries<prometheus::Gauge> group_weight_, group_loss_, group_reward_accuracy_, worst_group_loss_, train_step_;
  JobSeries<prometheus::Counter> train_pairs_, train_tokens_;
  JobSeries<prometheus::Histogram> step_seconds_, weight_update_seconds_;
  JobSeries<prometheus::Gauge> workers_, job_state_, checkpoint_step_;
  JobSeries<prometheus::Counter> checkpoints_, restarts_, skipped_steps_;
  prometheus::Gauge& state_writable_;
  prometheus::Gauge& state_free_bytes_;
  prometheus::Family<prometheus::Counter>& rpc_requests_;
  std::unordered_map<std::string, std::vector<prometheus::Gauge*>> weight_gauges_;  // of a job, by group id
  std::unordered_map<std::string, Totals> totals_;                                  // as last reported
};

}  // namespace equipoise::coordinator
