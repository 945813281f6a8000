// Files of others, read whole or in parts: whatever stands at its name, no more than so many bytes are read, and
// nothing waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace equipoise {

// Throws std::invalid_argument "FILE: ...": there is none (download_fault.h says why), it is no regular file (a pipe or
// a device could block or never end), has more bytes, or cannot be read.
//   what  for the message of one that is too large: "settings", "a chat template"
std::string read_bounded_file(const std::filesystem::path& file, std::uintmax_t most_bytes, const char* what);

// At most `size` bytes of an open file from `offset` on; fewer where it ends or cannot be read.
std::string part_of_file(int descriptor, std::uint64_t offset, std::size_t size);

}  // namespace equipoise
