#include "experiments/report/report_folder.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "common/base/durable_file.h"
#include "common/base/durable_folder.h"
#include "common/base/quoted_text.h"

namespace equipoise::reproduce {
namespace {

namespace fs = std::filesystem;

fs::path without_trailing_slash(const fs::path& folder) {
  if (folder.empty()) throw std::invalid_argument("output is \"\", expected the name of a folder");
  const fs::path plain = fs::absolute(folder).lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

DurableFolder folder_beside(const fs::path& place) {
  std::error_code ignored;  // DurableFolder says what is wrong
  fs::create_directories(place.parent_path(), ignored);
  return DurableFolder(place, DurableFolder::Earlier::kReplaced);
}

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
  const DurableFolder can_be_made = folder_beside(place);
}

void write_report_folder(const fs::path& folder, const std::vector<ReportFile>& files) {
  check_report_folder(folder, names_of(files));
  DurableFolder aside = folder_beside(without_trailing_slash(folder));
  for (const ReportFile& file : files) write_durably(aside / file.name, file.content);
  aside.commit();
}

}  // namespace equipoise::reproduce
