// Comma-separated values, one record at a time, in bounded memory: RFC 4180, where a field in quotes may hold commas,
// doubled quotes and line ends. Lines end in "\n" or "\r\n".
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/dataset/text_file.h"

namespace equipoise {

class CsvReader {
 public:
  // Throws std::invalid_argument naming the file if it cannot be opened or is not a regular file.
  explicit CsvReader(std::filesystem::path path);

  // Moves to the next record; false at the end. Blank lines between records are skipped.
  // Throws std::invalid_argument "FILE:LINE: ..." for a quote where none may be, a quoted field that does not end, a
  // record of more than 1 MiB, or text that is not UTF-8.
  bool next();
  const std::vector<std::string>& fields() const { return fields_; }  // until the next call
  std::int64_t line_number() const { return line_number_; }           // where the record begins, from 1
  std::int64_t bytes_read() const { return lines_.bytes_read(); }     // as LineReader's
  // Throws std::invalid_argument "FILE:LINE: what" for the current record.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  enum class State { kFieldStart, kPlain, kQuoted, kQuoteSeen };
  State read_line(std::string_view line, State state);
  State read_character(char character, State state);

  std::filesystem::path path_;
  LineReader lines_;
  std::vector<std::string> fields_;
  std::size_t record_bytes_ = 0;
  std::int64_t line_number_ = 0;
};

}  // namespace equipoise
