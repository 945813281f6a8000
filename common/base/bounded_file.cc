#include "common/base/bounded_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "common/base/descriptor.h"
#include "common/base/download_fault.h"

namespace equipoise {
namespace {

[[noreturn]] void refuse_file(const std::filesystem::path& file, std::string_view what, std::string_view more = "") {
  std::string text = file.string();
  text += ": ";
  text += what;
  text += more;
  throw std::invalid_argument(text);
}

[[noreturn]] void refuse_errno(const std::filesystem::path& file) {
  if (errno == ENOENT) refuse_file(file, absent_file_fault(file));
  refuse_file(file, "cannot be read: ", std::strerror(errno));
}

[[noreturn]] void refuse_size(const std::filesystem::path& file, std::uintmax_t most_bytes, const char* what) {
  std::string size = std::to_string(most_bytes);
  size += " bytes, expected at most that of ";
  refuse_file(file, "has more than ", size += what);
}

}  // namespace

std::string read_bounded_file(const std::filesystem::path& file, std::uintmax_t most_bytes, const char* what) {
  // A pipe without a writer does not keep this waiting; what was opened is what is looked at.
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat found {};
  if (opened.get() < 0 || ::fstat(opened.get(), &found) != 0) refuse_errno(file);
  if (!S_ISREG(found.st_mode)) refuse_file(file, "is not a file");
  if (static_cast<std::uintmax_t>(found.st_size) > most_bytes) refuse_size(file, most_bytes, what);
  // One byte more shows the end, or that the file has grown.
  std::string content(static_cast<std::size_t>(found.st_size) + 1, '\0');
  std::size_t size = 0;
  while (true) {
    const ssize_t count = ::read(opened.get(), content.data() + size, content.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse_errno(file);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
    if (size > most_bytes) refuse_size(file, most_bytes, what);
    if (size == content.size()) content.resize(2 * size);
  }
  content.resize(size);
  return content;
}

std::string part_of_file(int descriptor, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t count = ::pread(descriptor, bytes.data() + have, size - have, static_cast<off_t>(offset + have));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    have += static_cast<std::size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace equipoise
