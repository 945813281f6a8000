// A file compressed with gzip or Zstandard, as the bytes that were compressed.
//
// It is not trusted: what it unpacks to is bounded by 1 GiB, or by a thousand times its size where that is more, and
// what is in memory by some MiB, 128 MiB with Zstandard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace equipoise {

class CompressedFile {
 public:
  // `format` is "gzip" or "zstd". Throws std::invalid_argument "FILE: ...".
  static CompressedFile open(const std::filesystem::path& path, std::string_view format);

  CompressedFile(CompressedFile&&) noexcept;
  CompressedFile& operator=(CompressedFile&&) noexcept;
  ~CompressedFile();

  // The next bytes, at least one; 0 at the end. Throws std::invalid_argument "FILE: ..." where the file is damaged, cut
  // short or unpacks to more than its bound.
  std::size_t read(std::span<char> bytes);

  // Of the file itself, compressed as they are; all of it at the end.
  std::int64_t bytes_read() const;

 private:
  struct Deleter {
    void operator()(void* handle) const;
  };
  CompressedFile(std::filesystem::path path, void* handle);
  std::filesystem::path path_;
  std::unique_ptr<void, Deleter> handle_;
};

}  // namespace equipoise
