#include "client/table/text_table.h"

#include <algorithm>
#include <utility>

#include "client/table/display_width.h"
#include "common/base/error.h"

namespace equipoise {
namespace {

constexpr std::size_t kGap = 2;

std::string padded(const std::string& text, std::size_t width, Align align) {
  const std::string blank(width - display_width(text), ' ');
  return align == Align::kLeft ? printable(text) + blank : blank + printable(text);
}

std::string without_trailing_spaces(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string rule_line(std::size_t width, Glyphs glyphs) {
  std::string line;
  for (std::size_t i = 0; i < width; ++i) line += glyphs == Glyphs::kUnicode ? "\u2500" : "-";
  return line + "\n";
}

// Width of columns [first, first + count) with the gaps between them.
std::size_t span_width(const std::vector<std::size_t>& widths, std::size_t first, std::size_t count) {
  std::size_t total = count == 0 ? 0 : (count - 1) * kGap;
  for (std::size_t i = first; i < first + count; ++i) total += widths[i];
  return total;
}

std::string bold(const std::string& line) { return "\x1b[1m" + line.substr(0, line.size() - 1) + "\x1b[0m\n"; }

}  // namespace

TextTable::TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

void TextTable::add_row(std::vector<std::string> cells, RowStyle style) {
  EQUIPOISE_CHECK(cells.size() == columns_.size());
  rows_.push_back({std::move(cells), style});
}

void TextTable::add_rule() { rows_.push_back({{}, RowStyle::kNormal}); }

std::vector<TextTable::Band> TextTable::bands() const {
  std::vector<Band> bands;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (bands.empty() || bands.back().title != columns_[i].band) bands.push_back({columns_[i].band, i, 0});
    ++bands.back().count;
  }
  return bands;
}

std::vector<std::size_t> TextTable::widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].title);
    for (const Row& row : rows_) width = row.cells.empty() ? width : std::max(width, display_width(row.cells[i]));
    widths.push_back(width);
  }
  for (const Band& band : bands()) {
    const std::size_t have = span_width(widths, band.first, band.count);
    const std::size_t want = display_width(band.title);
    if (want > have) widths[band.first + band.count - 1] += want - have;
  }
  return widths;
}

std::string TextTable::line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) const {
  std::string line;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (i > 0) line += std::string(kGap, ' ');
    line += padded(cells[i], widths[i], columns_[i].align);
  }
  return without_trailing_spaces(std::move(line));
}

std::string TextTable::band_line(const std::vector<std::size_t>& widths) const {
  std::string line;
  for (const Band& band : bands()) {
    if (band.first > 0) line += std::string(kGap, ' ');
    const std::size_t width = span_width(widths, band.first, band.count);
    const std::size_t left = (width - display_width(band.title)) / 2;
    line += std::string(left, ' ') + padded(band.title, width - left, Align::kLeft);
  }
  return without_trailing_spaces(std::move(line));
}

std::string TextTable::text(Colors colors, Glyphs glyphs) const {
  const std::vector<std::size_t> widths = this->widths();
  const std::size_t total = span_width(widths, 0, widths.size());
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  const bool banded = std::any_of(columns_.begin(), columns_.end(), [](const Column& c) { return !c.band.empty(); });

  std::string text = banded ? band_line(widths) : "";
  text += line(titles, widths) + rule_line(total, glyphs);
  for (const Row& row : rows_) {
    if (row.cells.empty()) {
      text += rule_line(total, glyphs);
      continue;
    }
    const std::string one = line(row.cells, widths);
    text += colors == Colors::kOn && row.style == RowStyle::kMarked ? bold(one) : one;
  }
  return text;
}

}  // namespace equipoise
