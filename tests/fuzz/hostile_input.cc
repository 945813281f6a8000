#include "tests/fuzz/hostile_input.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace equipoise {

MemoryFile::MemoryFile(std::span<const std::uint8_t> bytes) : descriptor_(::memfd_create("input", MFD_CLOEXEC)) {
  promise(descriptor_ >= 0, "a file in memory can be made");
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    promise(written > 0, "a file in memory takes its bytes");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  path_ = "/proc/self/fd/" + std::to_string(descriptor_);
}

MemoryFile::~MemoryFile() { ::close(descriptor_); }

void promise(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

void promise_refusal(std::string_view text) {
  constexpr std::size_t kLongest = 4096;
  promise(!text.empty() && text.size() <= kLongest, "a refusal is a line of text");
  const bool has_control = std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  promise(!has_control, "a refusal is one line without control characters");
}

void end_before_memory_does(std::string_view refusal) {
  constexpr int kMost = 24;
  static int stopped = 0;
  const bool keeps_memory =
      refusal.find("of memory") != std::string_view::npos || refusal.find("takes longer") != std::string_view::npos;
  if (keeps_memory && ++stopped == kMost) std::_Exit(0);
}

}  // namespace equipoise
