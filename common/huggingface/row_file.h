// Rows of a Parquet file or an Arrow stream, such as the files of a folder that `datasets` saved, as JSON.
//
// A file is not trusted: what its pages and messages want is bounded (1 GiB of memory, 2 minutes for 256 KiB of rows),
// and what is wrong with it becomes one line. Memory does not grow with the file where its row groups, pages and
// messages do not.
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

class RowFile {
 public:
  struct Columns {
    std::span<const std::string> required;  // the file must have these,
    std::span<const std::string> optional;  // and may have these; others are not read
  };
  static constexpr std::size_t kPadding = 64;

  // Throws std::invalid_argument "FILE: ...": no file, neither kind, damaged, encrypted, a column that is missing or of
  // a type without a JSON (texts, numbers, booleans, lists, structs, maps and dictionaries have one). A class label of
  // `datasets` is its name.
  static RowFile open(const std::filesystem::path& path, const Columns& columns);

  RowFile(RowFile&&) noexcept;
  RowFile& operator=(RowFile&&) noexcept;
  ~RowFile();

  // Names of columns that are not read, 64 at most.
  std::vector<std::string> unread_columns() const;

  // The next rows, each the JSON of an object and "\n"; empty after the last. What is null is left out, but of lists.
  // kPadding readable bytes follow. Until the next call. Throws as open() does, and for a row of more than 1 MiB.
  std::string_view next();

  // Of the file, up to the last of those rows; of a Parquet file the share that its rows until now are of all.
  std::int64_t bytes_read() const;

 private:
  struct Deleter {
    void operator()(void* handle) const;
  };
  RowFile(std::filesystem::path path, void* handle);
  std::filesystem::path path_;
  std::unique_ptr<void, Deleter> handle_;
};

}  // namespace equipoise
