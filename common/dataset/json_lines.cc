#include <simdjson.h>

#include "common/dataset/data_rows.h"
#include "common/dataset/line_reader.h"

namespace equipoise {
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

 private:
  std::filesystem::path path_;
  LineReader lines_;
};

}  // namespace

std::unique_ptr<DataRows> open_json_lines(const std::filesystem::path& file) {
  return std::make_unique<JsonLines>(file);
}

}  // namespace equipoise
