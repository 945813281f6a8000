#include "worker/evaluate/evaluation_progress.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace equipoise {

void EvaluationProgress::tell(const std::string& activity, std::int64_t percent) {
  constexpr std::chrono::milliseconds kBetween{200};
  const auto now = std::chrono::steady_clock::now();
  if (path_.empty() || (activity == activity_ && now - told_ < kBetween)) return;
  activity_ = activity;
  told_ = now;
  // Renamed into place, so that no half of it is read. Not by DurableFile: that waits for the disk, here five times a
  // second, for a file that nobody needs after a crash.
  std::filesystem::path aside = path_;
  aside += ".new";
  std::ofstream(aside) << nlohmann::json{{"activity", activity}, {"percent", percent}} << '\n';
  std::error_code ignored;
  std::filesystem::rename(aside, path_, ignored);
}

}  // namespace equipoise
