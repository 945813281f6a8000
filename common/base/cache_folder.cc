#include "common/base/cache_folder.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

std::filesystem::path path_of(const char* variable) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

std::filesystem::path absolute_of(const char* variable) {
  std::filesystem::path path = path_of(variable);
  return path.is_absolute() ? path : std::filesystem::path();
}

std::filesystem::path own_folder() {
  std::filesystem::path own = path_of("EQUIPOISE_CACHE");
  if (own.empty() || own.is_absolute()) return own;
  throw std::invalid_argument("EQUIPOISE_CACHE is " + quoted_text(own.string()) +
                              ", expected the absolute path of a folder, such as /var/tmp/equipoise");
}

}  // namespace

std::filesystem::path cache_folder() {
  if (auto own = own_folder(); !own.empty()) return own;
  if (const auto common = absolute_of("XDG_CACHE_HOME"); !common.empty()) return common / "equipoise";
  if (const auto home = absolute_of("HOME"); !home.empty()) return home / ".cache" / "equipoise";
  return {};
}

std::filesystem::path cache_entry(const std::filesystem::path& folder, std::string_view kind, const Digest& key,
                                  std::string_view extension) {
  std::string name = hex_text(key);
  if (!extension.empty()) name.append(".").append(extension);
  return folder / kind / name;
}

void make_cache_place(const std::filesystem::path& entry) {
  const std::filesystem::path folder = entry.parent_path();
  std::filesystem::path made;
  for (const auto& part : folder) {
    made /= part;
    if (::mkdir(made.c_str(), S_IRWXU) == 0 || errno == EEXIST) continue;
    // A folder above may exist on a file system that answers otherwise; only the last one must be there.
    const int cause = errno;
    std::error_code ignored;
    if (std::filesystem::is_directory(made, ignored)) continue;
    throw std::invalid_argument(made.string() + " cannot be made: " + std::generic_category().message(cause));
  }
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    throw std::invalid_argument(folder.string() + " is not a folder");
  }
}

}  // namespace equipoise
