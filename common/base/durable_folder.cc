#include "common/base/durable_folder.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <system_error>

#include "common/base/durable_file.h"
#include "common/base/path_check.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

fs::path without_slash(const fs::path& folder) {
  const fs::path plain = fs::absolute(folder).lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

[[noreturn]] void refuse_rename(const fs::path& target, int cause) {
  throw std::runtime_error(target.string() +
                           ": cannot be renamed into place: " + std::generic_category().message(cause));
}

void put(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) refuse_rename(to, errno);
}

// `from` holds afterwards what stood at `target`.
void exchange(const fs::path& from, const fs::path& target) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return;
  // Network file systems cannot exchange: then two renames, and the first is taken back if the second fails.
  if (errno != EINVAL && errno != ENOSYS) refuse_rename(target, errno);
  const fs::path old = from.string() + ".old";
  put(target, old);
  try {
    put(from, target);
  } catch (...) {
    put(old, target);
    throw;
  }
  put(old, from);
}

}  // namespace

DurableFolder::DurableFolder(const fs::path& target, Earlier earlier)
    : target_(without_slash(target)), earlier_(earlier) {
  if (earlier == Earlier::kRefused && entry_exists(target_)) {
    throw std::invalid_argument(target.string() + " exists: choose a folder that does not");
  }
  std::string name = ".";
  name += target_.filename().string() + ".partial-" + std::to_string(std::random_device()());
  aside_ = target_.parent_path() / name;
  std::error_code error;
  if (!fs::create_directory(aside_, error)) {
    throw std::invalid_argument("cannot write " + target_.string() + ": " + error.message());
  }
}

DurableFolder::~DurableFolder() {
  std::error_code ignored;
  fs::remove_all(aside_, ignored);
}

void DurableFolder::commit(const fs::path& part) {
  const fs::path whole = part.empty() ? aside_ : aside_ / part;
  sync_folder(whole);
  if (earlier_ == Earlier::kReplaced && entry_exists(target_)) {
    exchange(whole, target_);
  } else {
    put(whole, target_);
  }
  sync_folder(target_.parent_path());
}

}  // namespace equipoise
