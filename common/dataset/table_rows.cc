#include <simdjson.h>

#include <utility>

#include "common/base/download_fault.h"
#include "common/dataset/data_rows.h"
#include "common/huggingface/row_file.h"

namespace equipoise {
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
