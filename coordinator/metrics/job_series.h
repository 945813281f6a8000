// One Prometheus metric whose first label is the job.
#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/labels.h>
#include <prometheus/metric_family.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "coordinator/metrics/metric_names.h"

namespace equipoise::coordinator {

prometheus::Labels labels_of(const metrics::Metric& metric, const std::vector<std::string>& values);

// Whatever its type is.
class AnyJobSeries : public prometheus::Collectable {
 public:
  virtual void remove_job(const std::string& job) = 0;
};

// `T` is prometheus::Gauge, Counter or Histogram. The series of a job go at once, whatever number of jobs there is:
// prometheus::Family looks for each of them among those of all jobs. Not thread-safe, but may be collected at any time.
template <typename T>
class JobSeries final : public AnyJobSeries {
 public:
  explicit JobSeries(const metrics::Metric& metric) : metric_(metric) {
    EQUIPOISE_CHECK(metric.labels().front() == metrics::kJob);
  }

  // The series with these labels, made if it is not there; `values` in the order of the metric's labels, the job first.
  template <typename... Arguments>
  T& at(const std::vector<std::string>& values, Arguments&&... arguments) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<T>& series = series_[values];
    if (!series) series = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    return *series;
  }

  void remove_job(const std::string& job) override {
    const std::lock_guard lock(mutex_);
    const auto begin = series_.lower_bound({job});
    auto end = begin;
    while (end != series_.end() && end->first.front() == job) ++end;
    series_.erase(begin, end);
  }

  std::vector<prometheus::MetricFamily> Collect() const override {
    const std::lock_guard lock(mutex_);
    if (series_.empty()) return {};
    prometheus::MetricFamily family{
        .name = std::string(metric_.name), .help = std::string(metric_.help), .type = T::metric_type, .metric = {}};
    family.metric.reserve(series_.size());
    for (const auto& [values, series] : series_) {
      family.metric.push_back(series->Collect());
      for (const auto& [name, value] : labels_of(metric_, values)) {
        family.metric.back().label.push_back({.name = name, .value = value});
      }
    }
    return {std::move(family)};
  }

 private:
  const metrics::Metric& metric_;
  mutable std::mutex mutex_;
  std::map<std::vector<std::string>, std::unique_ptr<T>> series_;  // guarded by mutex_; those of a job are neighbours
};

}  // namespace equipoise::coordinator
