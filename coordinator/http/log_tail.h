// The end of what an attempt's processes have written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace equipoise::coordinator {

struct LogTail {
  std::uint64_t size = 0;   // of the whole log
  std::uint64_t begin = 0;  // where `text` begins in it
  std::string text;         // UTF-8, whole lines where there are any, without control characters but tabs and newlines
};

// At most `most_bytes`. Empty where there is no regular file of that name.
LogTail log_tail(const std::filesystem::path& file, std::uint64_t most_bytes);

}  // namespace equipoise::coordinator
