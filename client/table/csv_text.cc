#include "client/table/csv_text.h"

#include <string_view>

namespace equipoise {
namespace {

std::string csv_cell(std::string_view cell) {
  if (cell.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(cell);
  std::string text = "\"";
  for (const char character : cell) text.append(character == '"' ? 2 : 1, character);
  return text + "\"";
}

}  // namespace

void add_csv_row(std::string& csv, const std::vector<std::string>& cells) {
  bool first = true;
  for (const std::string& cell : cells) {
    csv.append(first ? "" : ",").append(csv_cell(cell));
    first = false;
  }
  csv += "\n";
}

}  // namespace equipoise
