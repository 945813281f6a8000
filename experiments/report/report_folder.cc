#include "experiments/report/report_folder.h"

#include <fcntl.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>

#include "common/base/durable_file.h"
#include "common/base/quoted_text.h"

namespace equipoise::reproduce {
namespace {

namespace fs = std::filesystem;

fs::path without_trailing_slash(const fs::path& folder) {
  if (folder.empty()) throw std::invalid_argument("output is \"\", expected the name of a folder");
  const fs::path plain = fs::absolute(folder).lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

std::runtime_error refusal(const fs::path& path, const std::string& what, int cause) {
  return std::runtime_error(path.string() + ": " + what + ": " + std::generic_category().message(cause));
}

void put(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) throw refusal(to, "cannot be put in place", errno);
}

// A new folder beside `folder`, gone at the end with what is in it.
class Aside {
 public:
  explicit Aside(const fs::path& folder) {
    std::error_code fault;
    fs::create_directories(folder.parent_path(), fault);
    std::string pattern = folder.string() + ".partial-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      throw std::invalid_argument(folder.string() +
                                  ": a folder cannot be made beside it: " + std::generic_category().message(errno));
    }
    path_ = pattern;
    fs::permissions(path_, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                               fs::perms::others_read | fs::perms::others_exec);
  }
  ~Aside() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

  const fs::path& path() const { return path_; }

  // What stood at `folder` is gone afterwards.
  void exchange(const fs::path& folder) const {
    if (!fs::exists(folder)) return put(path_, folder);
    if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) return;
    // Network file systems cannot exchange: then two renames, and the first is taken back if the second fails.
    if (errno != EINVAL && errno != ENOSYS) throw refusal(folder, "cannot be exchanged for the new report", errno);
    const fs::path old = path_.string() + ".old";
    put(folder, old);
    try {
      put(path_, folder);
    } catch (...) {
      put(old, folder);
      throw;
    }
    fs::remove_all(old);
  }

 private:
  fs::path path_;
};

std::vector<std::string> names_of(const std::vector<ReportFile>& files) {
  std::vector<std::string> names;
  for (const ReportFile& file : files) names.push_back(file.name);
  return names;
}

}  // namespace

void check_report_folder(const fs::path& folder, const std::vector<std::string>& names) {
  const fs::path place = without_trailing_slash(folder);
  std::error_code fault;
  if (fs::exists(fs::symlink_status(place, fault)) && !fs::is_directory(fs::symlink_status(place, fault))) {
    throw std::invalid_argument(folder.string() + ": is no folder, expected a new one or an earlier report");
  }
  if (fs::is_directory(place, fault)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(place)) {
      if (std::find(names.begin(), names.end(), entry.path().filename().string()) != names.end()) continue;
      throw std::invalid_argument(folder.string() + ": holds " + quoted_text(entry.path().filename().string()) +
                                  ", which is not of a report; name a new folder, an empty one or an earlier report");
    }
  }
  const Aside can_be_made(place);
}

void write_report_folder(const fs::path& folder, const std::vector<ReportFile>& files) {
  check_report_folder(folder, names_of(files));
  const fs::path place = without_trailing_slash(folder);
  const Aside aside(place);
  for (const ReportFile& file : files) write_durably(aside.path() / file.name, file.content);
  sync_folder(aside.path());
  aside.exchange(place);
  sync_folder(place.parent_path());
}

}  // namespace equipoise::reproduce
