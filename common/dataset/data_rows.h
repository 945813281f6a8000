// Rows of data files, each as the JSON of one object, one at a time and in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
  // Of the row, from 1, ascending; at the end what the last row, or blank line, had. Of several files it goes on
  // counting.
  virtual std::int64_t number() const = 0;
  // Where row `number`, which was read, is.
  virtual std::string place(std::int64_t number) const = 0;
  virtual std::string_view word() const = 0;  // for what it reads: "line", "row"
  // Of all files, as they are on the disk, a little more than the rows until now; of a Parquet file the share that its
  // rows are of all.
  virtual std::int64_t bytes_read() const = 0;
  // Columns of files whose columns are apart that are not read, once for each file, with its first row; some of them
  // where there are very many.
  virtual std::vector<std::string> take_unread_columns() { return {}; }
};

// "FILE:12" of a line, "FILE: row 12" of a row.
std::string row_place(const std::filesystem::path& file, std::string_view word, std::int64_t number);

// Fields that matter: files whose columns are apart read no others, and must have the first.
struct DataColumns {
  std::span<const std::string> required;
  std::span<const std::string> optional;
};

// Rows of everything that `path` names, see data_files.h. What `columns` looks at outlives it. Throws
// std::invalid_argument naming the file if one cannot be opened.
std::unique_ptr<DataRows> open_data_rows(const std::filesystem::path& path, const DataColumns& columns);

// Of one file: a JSON object a line; Parquet or an Arrow stream.
std::unique_ptr<DataRows> open_json_lines(const std::filesystem::path& file);
std::unique_ptr<DataRows> open_table_rows(const std::filesystem::path& file, const DataColumns& columns);

}  // namespace equipoise
