// The bytes of a text file: as they are, or decompressed where it begins as gzip or Zstandard do, whatever its name.
#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "common/huggingface/compressed_file.h"

namespace equipoise {

class TextFile {
 public:
  // Throws std::invalid_argument naming the file: it cannot be opened, is not a regular file, or begins as something
  // that is no text in UTF-8 (UTF-16, an archive, another compression, a second one inside of the first), with what to
  // do about it.
  explicit TextFile(std::filesystem::path path);

  // The next bytes, at least one; 0 at the end. Throws std::invalid_argument naming the file.
  std::size_t read(std::span<char> bytes);

 private:
  std::string_view read_start(std::span<char> bytes);

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::optional<CompressedFile> compressed_;
};

}  // namespace equipoise
