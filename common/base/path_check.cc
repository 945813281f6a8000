#include "common/base/path_check.h"

#include <algorithm>
#include <system_error>

namespace equipoise {

namespace fs = std::filesystem;

bool entry_exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

fs::path resolved_path(const fs::path& path) {
  std::error_code error;
  // weakly_canonical leaves a relative path of which nothing exists as it is, without a folder around it.
  const fs::path absolute = fs::absolute(path, error);
  fs::path canonical = fs::weakly_canonical(absolute, error);
  if (error) canonical = absolute.lexically_normal();
  return canonical.has_filename() ? canonical : canonical.parent_path();
}

bool is_within(const fs::path& path, const fs::path& folder) {
  return std::ranges::mismatch(folder, path).in1 == folder.end();
}

}  // namespace equipoise
