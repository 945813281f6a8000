// The folders that the files of a job must be in: a job comes from anybody who may submit one, and its files are opened
// as the user of the service.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/job_config.h"

namespace equipoise {

// The paths that a job names, with their fields; what it does not name is left out.
std::vector<std::pair<std::string_view, std::filesystem::path>> paths_of(const JobConfig& config);

class PathRoots {
 public:
  PathRoots() = default;  // every folder will do
  explicit PathRoots(const std::vector<std::filesystem::path>& folders);
  // As text() of another one.
  static PathRoots from_text(std::string_view text);

  // Folders with colons between them; empty: every folder will do.
  std::string text() const;
  // Throws std::invalid_argument naming the field, where a path of the job is, or leads by links, out of these folders,
  // or a link inside of a folder that it names does. Looks at the files as they are now: whoever can write in the
  // folders can change them afterwards.
  void check(const JobConfig& config) const;
  bool allows_all() const { return folders_.empty(); }
  // Whether `path` is, links followed, in one of these folders.
  bool may_open(const std::filesystem::path& path) const { return folders_.empty() || allows(path); }

 private:
  void check_path(std::string_view field, const std::filesystem::path& path) const;
  void check_links(std::string_view field, const std::filesystem::path& folder) const;
  bool allows(const std::filesystem::path& path) const;

  std::vector<std::filesystem::path> folders_;  // resolved
};

}  // namespace equipoise
