#include "common/config/path_roots.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "common/base/message_text.h"
#include "common/base/path_check.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostLookedAt = 1'000'000;  // names in one folder of a job

}  // namespace

PathRoots::PathRoots(const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) folders_.push_back(resolved_path(folder));
}

PathRoots PathRoots::from_text(std::string_view text) {
  std::vector<fs::path> folders;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(':'), text.size());
    if (end > 0) folders.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return PathRoots(folders);
}

std::string PathRoots::text() const {
  std::string text;
  for (const fs::path& folder : folders_) text.append(text.empty() ? "" : ":").append(folder.string());
  return text;
}

bool PathRoots::allows(const fs::path& path) const {
  const fs::path resolved = resolved_path(path);
  return std::ranges::any_of(folders_, [&](const fs::path& folder) { return is_within(resolved, folder); });
}

void PathRoots::check_path(std::string_view field, const fs::path& path) const {
  if (!allows(path)) {
    throw std::invalid_argument(
        std::string(field) + " is " + quoted_text(path.string()) +
        ", which is, or leads, outside of the folders of this service's jobs, expected a path in " + text());
  }
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) check_links(field, path);
}

void PathRoots::check_links(std::string_view field, const fs::path& folder) const {
  std::error_code error;
  std::size_t looked_at = 0;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (++looked_at > kMostLookedAt) {
      throw std::invalid_argument(std::string(field) + " has more than " + std::to_string(kMostLookedAt) + " files");
    }
    std::error_code ignored;
    if (!entry->is_symlink(ignored) || allows(entry->path())) continue;
    throw std::invalid_argument(std::string(field) + " has the link " + quoted_text(entry->path().string()) +
                                ", which leads outside of the folders of this service's jobs (" + text() + ")");
  }
}

std::vector<std::pair<std::string_view, fs::path>> paths_of(const JobConfig& config) {
  std::vector<std::pair<std::string_view, fs::path>> paths = {{"output", config.output}};
  if (!config.log_linear) paths.emplace_back("model.path", config.model.path);
  paths.emplace_back("model.reference", config.model.reference.value_or(""));
  paths.emplace_back("model.adapter", config.model.adapter.value_or(""));
  paths.emplace_back("model.chat_template", config.model.chat_template.value_or(""));
  for (const DataFile& file : training_files(config.data)) paths.emplace_back("data.train", file.path);
  for (const DataFile& file : validation_files(config.data)) paths.emplace_back("data.validation", file.path);
  paths.emplace_back("data.test", config.data.test.value_or(""));
  const fs::path checkpoint = config.training.resume_from_checkpoint.value_or("");
  if (checkpoint != kLatestCheckpoint) paths.emplace_back("training.resume_from_checkpoint", checkpoint);
  std::erase_if(paths, [](const auto& entry) { return entry.second.empty(); });
  return paths;
}

void PathRoots::check(const JobConfig& config) const {
  if (allows_all()) return;
  for (const auto& [field, path] : paths_of(config)) check_path(field, path);
}

}  // namespace equipoise
