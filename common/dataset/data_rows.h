// Rows of a data file, each as the JSON of one object, one at a time and in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace equipoise {

class DataRows {
 public:
  static constexpr std::size_t kLongestRow = 1 << 20;  // 1 MiB

  virtual ~DataRows() = default;
  // Moves to the next row; false at the end. Throws std::invalid_argument naming the place of a row that cannot be
  // read.
  virtual bool next() = 0;
  // At most kLongestRow bytes, with simdjson's padding behind them; until the next call.
  virtual std::string_view json() const = 0;
  virtual std::int64_t number() const = 0;  // of the row, from 1, ascending
  // Where row `number`, which was read, is: "FILE:12".
  virtual std::string place(std::int64_t number) const = 0;
};

// Throws std::invalid_argument naming the file if it cannot be opened.
std::unique_ptr<DataRows> open_json_lines(const std::filesystem::path& path);

}  // namespace equipoise
