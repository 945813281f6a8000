#include "coordinator/job/running_time.h"

#include <cstdint>

namespace equipoise::coordinator {
namespace {

constexpr std::int64_t kNanosInASecond = 1'000'000'000;
constexpr std::int64_t kNanosPerMilli = 1'000'000;
constexpr std::int64_t kMillisPerSecond = 1000;

}  // namespace

std::chrono::milliseconds running_time(const v1::TrainingJob& job) {
  return std::chrono::milliseconds(job.running_time().seconds() * kMillisPerSecond +
                                   job.running_time().nanos() / kNanosPerMilli);
}

void add_running_time(v1::TrainingJob& job, std::chrono::nanoseconds more) {
  const std::int64_t nanos = job.running_time().nanos() + more.count() % kNanosInASecond;
  const std::int64_t seconds = job.running_time().seconds() + more.count() / kNanosInASecond;
  job.mutable_running_time()->set_seconds(seconds + nanos / kNanosInASecond);
  job.mutable_running_time()->set_nanos(static_cast<std::int32_t>(nanos % kNanosInASecond));
}

std::chrono::milliseconds end_of_running_time(std::chrono::milliseconds before, std::chrono::seconds limit) {
  const std::chrono::milliseconds whole(limit);
  return (before / whole + 1) * whole;
}

}  // namespace equipoise::coordinator
