// A text file, as it is or decompressed where it begins as gzip or Zstandard do, whatever its name: its bytes, and its
// lines one at a time in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

  // Of the file itself, compressed as they may be.
  std::int64_t bytes_read() const { return bytes_read_; }

 private:
  std::string_view read_start(std::span<char> bytes);

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::optional<CompressedFile> compressed_;
  std::int64_t bytes_read_ = 0;
};

// What is said of a file whose lines end as on an old Mac, and which is one long line therefore.
inline constexpr std::string_view kCarriageReturnsAlone =
    "lines end with a carriage return alone, expected a newline: tr '\\r' '\\n' < FILE > NEW makes lines of them";

class LineReader {
 public:
  // Lines may have `longest_line` bytes without their end; `padding` readable bytes follow each line.
  struct Limits {
    std::size_t longest_line;
    std::size_t padding;
  };
  // Throws what TextFile throws.
  LineReader(std::filesystem::path path, Limits limits);

  // Moves to the next line; false at the end. A line ends at "\n" or with the file; a byte order mark at the start of
  // the file is skipped, a "\r" before the end is part of the line. Throws std::invalid_argument "FILE:LINE: ..." for
  // a line that is too long, without reading the rest of it.
  bool next();
  std::string_view line() const { return {line_.data(), size_}; }  // until the next call
  std::int64_t line_number() const { return line_number_; }        // from 1
  // Of the file, a little more than the lines until now.
  std::int64_t bytes_read() const { return file_.bytes_read(); }
  // Throws std::invalid_argument "FILE:LINE: what" for the current line.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  bool fill_chunk();
  void append(const char* bytes, std::size_t count);
  [[noreturn]] void refuse_length() const;
  void skip_byte_order_mark();

  std::filesystem::path path_;
  Limits limits_;
  TextFile file_;
  std::vector<char> chunk_;
  std::size_t chunk_begin_ = 0, chunk_end_ = 0;
  std::vector<char> line_;  // size_ bytes of the line, then at least `padding` bytes
  std::size_t size_ = 0;
  std::int64_t line_number_ = 0;
};

}  // namespace equipoise
