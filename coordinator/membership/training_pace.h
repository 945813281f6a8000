// How many pairs a second a job trains on, over its last minutes: what its end is foretold with.
#pragma once

#include <cstdint>
#include <optional>

namespace equipoise::coordinator {

// Of one attempt. Half of it is of the last minute of training, or of the last 8 reports where these took longer, so
// that one that was slow, as another program took the processors, moves it little. Not thread-safe.
class TrainingPace {
 public:
  // As ReportMetricsRequest has them: pairs since the attempt began, and a second since the report before.
  void observe(std::int64_t pairs_total, double pairs_per_second);
  // > 0; nullopt: not known yet.
  std::optional<double> pairs_per_second() const;

 private:
  std::optional<std::int64_t> pairs_total_;  // of the newest report
  double pairs_ = 0, seconds_ = 0;           // those of long ago count less
};

}  // namespace equipoise::coordinator
