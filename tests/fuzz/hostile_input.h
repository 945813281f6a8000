// What the fuzz targets share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace equipoise {

// A file that exists in memory alone.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::uint8_t> bytes);
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile();

  const std::filesystem::path& path() const { return path_; }

 private:
  int descriptor_;
  std::filesystem::path path_;
};

// Ends the process, saying which promise is broken, unless `holds`.
void promise(bool holds, std::string_view what);

// A refusal is one line of printable UTF-8 that is not endless.
void promise_refusal(std::string_view text);

// Work that is stopped for its memory or its time keeps them until the process ends
// (common/huggingface/src/bounded.rs). After some such refusals it is time to end: a fuzzer's next process goes on with
// the corpus.
void end_before_memory_does(std::string_view refusal);

// Runs `read`; whether it went through. std::invalid_argument is a refusal, any other exception ends the process.
template <class Read>
bool accepts(const Read& read);

}  // namespace equipoise

#include <stdexcept>

template <class Read>
bool equipoise::accepts(const Read& read) {
  try {
    read();
    return true;
  } catch (const std::invalid_argument& refusal) {
    promise_refusal(refusal.what());
    end_before_memory_does(refusal.what());
    return false;
  }
}
