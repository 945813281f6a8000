#include "common/base/activity_file.h"

#include <fstream>
#include <system_error>

namespace equipoise {

void ActivityFile::tell(const Activity& activity) {
  constexpr std::chrono::milliseconds kBetween{200};
  const auto now = std::chrono::steady_clock::now();
  if (path_.empty() || (activity.name == name_ && now - told_ < kBetween)) return;
  name_ = activity.name;
  told_ = now;
  // Renamed into place, so that no half of it is read. Not by DurableFile: that waits for the disk, here five times a
  // second, for a file that nobody needs after a crash.
  std::filesystem::path aside = path_;
  aside += ".new";
  std::ofstream(aside) << activity.percent << ' ' << activity.name << '\n';
  std::error_code ignored;
  std::filesystem::rename(aside, path_, ignored);
}

std::optional<Activity> read_activity(const std::filesystem::path& file) {
  std::ifstream stream(file);
  Activity activity;
  if (!(stream >> activity.percent) || stream.get() != ' ' || !std::getline(stream, activity.name)) return std::nullopt;
  return activity;
}

}  // namespace equipoise
