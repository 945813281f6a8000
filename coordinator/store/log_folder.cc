#include "coordinator/store/log_folder.h"

#include <cstdint>

namespace equipoise::coordinator {

namespace fs = std::filesystem;

bool remove_some(const fs::path& folder) {
  constexpr std::uintmax_t kBytesAtOnce = std::uintmax_t{256} << 20;
  const fs::file_status status = fs::symlink_status(folder);
  if (!fs::exists(status)) return true;
  if (fs::is_directory(status)) {
    const fs::directory_iterator entry(folder);
    if (entry != fs::directory_iterator()) {
      remove_some(entry->path());
      return false;
    }
  } else if (fs::is_regular_file(status) && fs::hard_link_count(folder) == 1) {
    const std::uintmax_t size = fs::file_size(folder);
    if (size > kBytesAtOnce) {
      fs::resize_file(folder, size - kBytesAtOnce);
      return false;
    }
  }
  fs::remove(folder);
  return true;
}

}  // namespace equipoise::coordinator
