#include "coordinator/http/log_tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/bounded_file.h"
#include "common/base/descriptor.h"
#include "common/base/message_text.h"

namespace equipoise::coordinator {

LogTail log_tail(const std::filesystem::path& file, std::uint64_t most_bytes) {
  LogTail tail;
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat found {};
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &found) != 0 || !S_ISREG(found.st_mode)) return tail;
  tail.size = static_cast<std::uint64_t>(found.st_size);
  tail.begin = tail.size - std::min(tail.size, most_bytes);
  std::string text = part_of_file(descriptor.get(), tail.begin, tail.size - tail.begin);
  const std::size_t end_of_half = tail.begin == 0 ? std::string::npos : text.find('\n');
  if (end_of_half != std::string::npos) {
    text.erase(0, end_of_half + 1);
    tail.begin += end_of_half + 1;
  }
  for (char& c : text) {
    const auto code = static_cast<unsigned char>(c);
    if ((code < 0x20 && c != '\n' && c != '\t') || code == 0x7f) c = ' ';
  }
  tail.text = utf8_text(std::move(text));
  return tail;
}

}  // namespace equipoise::coordinator
