#include "client/trainjob/trainer_status.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "client/progress/progress_line.h"
#include "client/table/display_width.h"

namespace equipoise {
namespace {

constexpr std::size_t kLongestValue = 64;  // characters, as Kubernetes counts them: combining marks too
constexpr std::int64_t kMostSeconds = std::int64_t{0x7fffffff};

std::string utc_text(std::chrono::system_clock::time_point time) {
  using google::protobuf::util::TimeUtil;
  return TimeUtil::ToString(TimeUtil::TimeTToTimestamp(std::chrono::system_clock::to_time_t(time)));
}

// printable(text), or its beginning.
std::string value_text(const std::string& text) {
  const std::string shown = printable(text);
  const auto begins_character = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; };
  std::size_t characters = 0;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (begins_character(shown[i]) && ++characters > kLongestValue) return shown.substr(0, i);
  }
  return shown;
}

class TrainerMetrics {
 public:
  void add(const char* name, const std::string& value) {
    if (!value.empty()) metrics_.push_back({{"name", name}, {"value", value_text(value)}});
  }
  void add(const char* name, std::optional<double> value) {
    if (value && std::isfinite(*value)) add(name, nlohmann::json(*value).dump());
  }
  nlohmann::json take() { return std::move(metrics_); }

 private:
  nlohmann::json metrics_ = nlohmann::json::array();
};

nlohmann::json metrics_of(const v1::TrainingJob& job, const ProgressView& view) {
  TrainerMetrics metrics;
  metrics.add("step", std::to_string(job.step()));
  if (job.total_steps() > 0) metrics.add("total_steps", std::to_string(job.total_steps()));
  metrics.add("restarts", std::to_string(job.restarts()));
  metrics.add("loss", view.loss);
  metrics.add("pairs_per_second", view.pairs_per_second);
  if (const auto worst = worst_group(job)) {
    metrics.add("worst_group", worst->name);
    metrics.add("worst_group_loss", worst->loss);
    metrics.add("worst_group_weight", worst->weight);
  }
  if (!job.has_validation_step()) return metrics.take();
  metrics.add("validation_step", std::to_string(job.validation_step()));
  if (const auto worst = worst_group(job, LossOf::kValidation)) {
    metrics.add("validation_worst_group", worst->name);
    metrics.add("validation_worst_group_loss", worst->loss);
  }
  return metrics.take();
}

}  // namespace

std::string trainer_status_json(const v1::TrainingJob& job, std::chrono::system_clock::time_point now) {
  const ProgressView view = progress_view(job);
  const bool has_succeeded = job.state() == v1::JOB_STATE_SUCCEEDED;
  nlohmann::json status = {{"lastUpdatedTime", utc_text(now)}, {"metrics", metrics_of(job, view)}};
  if (has_succeeded || view.total_steps > 0) {
    status["progressPercentage"] = has_succeeded ? 100 : std::clamp(percent_done(view), 0, 100);
  }
  if (has_succeeded) {
    status["estimatedRemainingSeconds"] = 0;
  } else if (view.time_left) {
    status["estimatedRemainingSeconds"] = std::clamp<std::int64_t>(view.time_left->count(), 0, kMostSeconds);
  }
  return nlohmann::json{{"trainerStatus", status}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace equipoise
