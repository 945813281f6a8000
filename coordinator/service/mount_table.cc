#include "coordinator/service/mount_table.h"

#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

namespace equipoise::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // as the kernel follows

// Blanks, tabs, newlines and backslashes are written as three octal digits.
std::string without_escapes(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool is_escape = text[at] == '\\' && text.size() - at > 3;
    if (!is_escape) {
      plain += text[at];
      continue;
    }
    int code = 0;
    for (int digit = 0; digit < 3; ++digit) code = code * 8 + (text[++at] - '0');
    plain += static_cast<char>(code);
  }
  return plain;
}

bool is_at_or_below(const fs::path& path, const fs::path& point) {
  return std::mismatch(point.begin(), point.end(), path.begin(), path.end()).first == point.end();
}

std::deque<fs::path> parts_of(const fs::path& path) {
  const fs::path below_root = path.relative_path();
  return {below_root.begin(), below_root.end()};
}

}  // namespace

MountTable MountTable::of_now() {
  std::ifstream file("/proc/self/mountinfo");
  return MountTable(std::string(std::istreambuf_iterator<char>(file), {}));
}

MountTable::MountTable(std::string_view lines) {
  std::istringstream stream{std::string(lines)};
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, point;
    if (words >> id >> parent >> device >> root >> point) points_.emplace_back(without_escapes(point));
  }
}

std::string MountTable::mount_of(const fs::path& path) const {
  const fs::path* found = nullptr;
  for (const fs::path& point : points_) {
    const bool is_longer = found == nullptr || point.native().size() >= found->native().size();
    if (is_longer && is_at_or_below(path, point)) found = &point;
  }
  return found == nullptr ? "/" : found->string();
}

void follow_path(const fs::path& path, const MountTable& mounts,
                 const std::function<void(const std::string&)>& on_mount) {
  std::deque<fs::path> parts = parts_of(path);
  fs::path at = "/";
  for (int links = 0; !parts.empty() && links <= kMostLinks;) {
    const fs::path part = parts.front();
    parts.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      at = at.parent_path();
      continue;
    }
    const fs::path next = at / part;
    on_mount(mounts.mount_of(next));
    std::error_code error;
    const fs::path link = fs::read_symlink(next, error);
    if (error == std::errc::no_such_file_or_directory) return;
    if (error) {  // no link
      at = next;
      continue;
    }
    ++links;
    if (link.is_absolute()) at = "/";
    const std::deque<fs::path> more = parts_of(link);
    parts.insert(parts.begin(), more.begin(), more.end());
  }
}

void await_file_system(const fs::path& path) {
  struct statfs ignored {};
  for (fs::path at = path; ::statfs(at.c_str(), &ignored) != 0 && errno == ENOENT && at.has_relative_path();) {
    at = at.parent_path();
  }
}

}  // namespace equipoise::coordinator
