// One Prometheus metric whose first label is the job, with all of a job's series removable at once.
#pragma once

#include <prometheus/family.h>
#include <prometheus/registry.h>

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/base/error.h"
#include "common/metrics/metric_names.h"

namespace equipoise::coordinator {

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

}  // namespace equipoise::coordinator
