#include "common/dataset/data_rows.h"

#include <simdjson.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/download_fault.h"
#include "common/dataset/data_files.h"
#include "common/dataset/text_file.h"
#include "common/huggingface/row_file.h"

namespace equipoise {
namespace {

std::unique_ptr<DataRows> open_file(const std::filesystem::path& file, const DataColumns& columns) {
  return data_format(file) == DataFormat::kJsonLines ? open_json_lines(file) : open_table_rows(file, columns);
}

// One file after the other.
class ManyRows : public DataRows {
 public:
  ManyRows(std::vector<std::filesystem::path> files, const DataColumns& columns)
      : files_(std::move(files)), columns_(columns), rows_(open_file(files_[0], columns)), begins_{0} {}

  bool next() override {
    while (!rows_->next()) {
      if (begins_.size() == files_.size()) return false;
      const std::int64_t begin = number();
      bytes_before_ += rows_->bytes_read();
      rows_ = open_file(files_[begins_.size()], columns_);
      begins_.push_back(begin);
    }
    return true;
  }
  std::string_view json() const override { return rows_->json(); }
  std::int64_t number() const override { return begins_.back() + rows_->number(); }

  std::string place(std::int64_t number) const override {
    const auto after = std::lower_bound(begins_.begin(), begins_.end(), number);
    const auto file = static_cast<std::size_t>(std::max<std::ptrdiff_t>(after - begins_.begin() - 1, 0));
    return row_place(files_[file], word(), number - begins_[file]);
  }
  std::string_view word() const override { return rows_->word(); }
  std::int64_t bytes_read() const override { return bytes_before_ + rows_->bytes_read(); }
  std::vector<std::string> take_unread_columns() override { return rows_->take_unread_columns(); }

 private:
  std::vector<std::filesystem::path> files_;
  DataColumns columns_;
  std::unique_ptr<DataRows> rows_;    // of file begins_.size() - 1
  std::vector<std::int64_t> begins_;  // of each file until now, what number() was before it
  std::int64_t bytes_before_ = 0;     // of the files before it
};

}  // namespace

std::string row_place(const std::filesystem::path& file, std::string_view word, std::int64_t number) {
  return file.string() + (word == "line" ? ":" : ": " + std::string(word) + " ") + std::to_string(number);
}

std::unique_ptr<DataRows> open_data_rows(const std::filesystem::path& path, const DataColumns& columns) {
  std::vector<std::filesystem::path> files = data_files(path);
  if (files.size() == 1) return open_file(files[0], columns);
  return std::make_unique<ManyRows>(std::move(files), columns);
}

namespace {

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

class JsonLines : public DataRows {
 public:
  explicit JsonLines(const std::filesystem::path& path)
      : path_(path), lines_(path, {.longest_line = kLongestRow, .padding = simdjson::SIMDJSON_PADDING}) {}

  bool next() override {
    while (lines_.next()) {
      if (!is_blank(lines_.line())) return true;
    }
    return false;
  }
  std::string_view json() const override { return lines_.line(); }
  std::int64_t number() const override { return lines_.line_number(); }
  std::string place(std::int64_t number) const override { return row_place(path_, word(), number); }
  std::string_view word() const override { return "line"; }
  std::int64_t bytes_read() const override { return lines_.bytes_read(); }

 private:
  std::filesystem::path path_;
  LineReader lines_;
};

}  // namespace

std::unique_ptr<DataRows> open_json_lines(const std::filesystem::path& file) {
  return std::make_unique<JsonLines>(file);
}

namespace {

class TableRows : public DataRows {
 public:
  TableRows(const std::filesystem::path& file, const DataColumns& columns)
      : path_(file),
        file_(RowFile::open(file, {.required = columns.required, .optional = columns.optional})),
        unread_(file_.unread_columns()) {}

  bool next() override {
    if (chunk_.empty()) chunk_ = file_.next();
    if (chunk_.empty()) return false;
    const std::size_t end = chunk_.find('\n');
    json_ = chunk_.substr(0, end);
    chunk_.remove_prefix(end + 1);
    ++number_;
    return true;
  }
  std::string_view json() const override { return json_; }
  std::int64_t number() const override { return number_; }
  std::string place(std::int64_t number) const override { return row_place(path_, word(), number); }
  std::string_view word() const override { return "row"; }
  std::int64_t bytes_read() const override { return file_.bytes_read(); }
  std::vector<std::string> take_unread_columns() override { return std::exchange(unread_, {}); }

 private:
  static_assert(RowFile::kPadding >= simdjson::SIMDJSON_PADDING);

  std::filesystem::path path_;
  RowFile file_;
  std::vector<std::string> unread_;
  std::string_view chunk_, json_;
  std::int64_t number_ = 0;
};

}  // namespace

std::unique_ptr<DataRows> open_table_rows(const std::filesystem::path& file, const DataColumns& columns) {
  // It has the names of groups that are integers in the file; without them the integers would be the names.
  check_download(file.parent_path() / "dataset_info.json");
  return std::make_unique<TableRows>(file, columns);
}

}  // namespace equipoise
