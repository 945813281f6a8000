#include "client/table/text_table.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "client/table/display_width.h"
#include "common/base/error.h"

namespace equipoise {
namespace {

bool is_number(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  return read.ec == std::errc() && read.ptr == end;
}

// What a spreadsheet would compute, as a group called "=1+1", stays a text.
std::string csv_cell(std::string_view content) {
  std::string cell = printable(content);
  const bool is_computed = !cell.empty() && std::string_view("=+-@").find(cell.front()) != std::string_view::npos;
  if (is_computed && !is_number(cell)) cell.insert(0, "'");
  if (cell.find_first_of(",\"") == std::string::npos) return cell;
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

// The blanks around a cell's text stay as they are, so that those at the end of a line can go.
std::string with_color(const std::string& cell, TextColor color, Colors colors) {
  const std::size_t begin = cell.find_first_not_of(' ');
  if (color == TextColor::kNone || colors == Colors::kOff || begin == std::string::npos) return cell;
  const std::size_t end = cell.find_last_not_of(' ') + 1;
  return cell.substr(0, begin) + colored(cell.substr(begin, end - begin), color, colors) + cell.substr(end);
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

std::string marked(const std::string& line) {
  return colored(line.substr(0, line.size() - 1), TextColor::kBold, Colors::kOn) + "\n";
}

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

std::string TextTable::line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                            Colors colors) const {
  std::string line;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (i > 0) line += std::string(kGap, ' ');
    const TextColor color = columns_[i].color == nullptr ? TextColor::kNone : columns_[i].color(cells[i]);
    line += with_color(padded(cells[i], widths[i], columns_[i].align), color, colors);
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
    // A colour within the line would end what marks it.
    const bool is_marked = colors == Colors::kOn && row.style == RowStyle::kMarked;
    text += is_marked ? marked(line(row.cells, widths)) : line(row.cells, widths, colors);
  }
  return text;
}

// TextTable of text_table.h as Markdown, CSV and LaTeX.

namespace {

struct Replacement {
  std::string_view from, to;
};

// The longest of the beginnings first, where several fit.
template <std::size_t N>
std::string replaced(std::string_view text, const Replacement (&replacements)[N]) {
  std::string result;
  while (!text.empty()) {
    const Replacement* found = nullptr;
    for (const Replacement& one : replacements) {
      if (found == nullptr && text.starts_with(one.from)) found = &one;
    }
    const std::string_view taken = found == nullptr ? text.substr(0, 1) : found->from;
    result += found == nullptr ? taken : found->to;
    text.remove_prefix(taken.size());
  }
  return result;
}

constexpr std::string_view kMarkdownSpecial = "\\`*_[]<>|~#&$";

constexpr Replacement kLatex[] = {{"\\", "\\textbackslash{}"},
                                  {"{", "\\{"},
                                  {"}", "\\}"},
                                  {"#", "\\#"},
                                  {"$", "\\$"},
                                  {"%", "\\%"},
                                  {"&", "\\&"},
                                  {"_", "\\_"},
                                  {"~", "\\textasciitilde{}"},
                                  {"^", "\\textasciicircum{}"},
                                  {"<", "\\textless{}"},
                                  {">", "\\textgreater{}"},
                                  {"|", "\\textbar{}"},
                                  {"\u2192", "$\\rightarrow$"},
                                  {"\u00b1", "$\\pm$"},
                                  {"\u2013", "--"},
                                  {"\u25c0", "$\\triangleleft$"},
                                  {"[", "{[}"},
                                  {"]", "{]}"},
                                  {"--", "-{}-"}};

std::string in_one_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return printable(text);
}

std::string markdown_row(const std::vector<std::string>& cells, RowStyle style) {
  std::string row = "|";
  for (const std::string& cell : cells) {
    const std::string bold = style == RowStyle::kMarked && !cell.empty() ? "**" : "";
    row += " " + bold + markdown_text(cell) + bold + " |";
  }
  return row + "\n";
}

std::string latex_row(const std::vector<std::string>& cells, RowStyle style) {
  std::string row;
  for (const std::string& cell : cells) {
    const bool bold = style == RowStyle::kMarked && !cell.empty();
    row += (row.empty() ? "" : " & ") + (bold ? "\\textbf{" + latex_text(cell) + "}" : latex_text(cell));
    if (row.empty()) row = "{}";
  }
  return row + " \\\\\n";
}

}  // namespace

std::string markdown_text(const std::string& text) {
  std::string result;
  for (const char c : in_one_line(text)) {
    if (kMarkdownSpecial.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

std::string latex_text(const std::string& text) { return replaced(in_one_line(text), kLatex); }

std::vector<std::string> TextTable::full_titles() const {
  std::vector<std::string> titles;
  for (const Column& column : columns_) {
    titles.push_back(column.band.empty() ? column.title : column.band + ": " + column.title);
  }
  return titles;
}

std::string TextTable::markdown() const {
  std::string text = markdown_row(full_titles(), RowStyle::kNormal) + "|";
  for (const Column& column : columns_) text += column.align == Align::kRight ? " ---: |" : " --- |";
  text += "\n";
  for (const Row& row : rows_) {
    if (!row.cells.empty()) text += markdown_row(row.cells, row.style);
  }
  return text;
}

std::string TextTable::csv() const {
  std::string text;
  add_csv_row(text, full_titles());
  for (const Row& row : rows_) {
    if (!row.cells.empty()) add_csv_row(text, row.cells);
  }
  return text;
}

std::string TextTable::latex() const {
  std::string columns, band_cells;
  std::vector<std::string> titles;
  for (const Column& column : columns_) {
    columns += column.align == Align::kRight ? "r" : "l";
    titles.push_back(column.title);
  }
  for (const Band& band : bands()) {
    band_cells += (band_cells.empty() ? "" : " & ") + ("\\multicolumn{" + std::to_string(band.count) + "}{c}{") +
                  latex_text(band.title) + "}";
  }
  std::string text = "\\begin{tabular}{" + columns + "}\n\\toprule\n";
  if (titles != full_titles()) text += band_cells + " \\\\\n";
  text += latex_row(titles, RowStyle::kNormal) + "\\midrule\n";
  for (const Row& row : rows_) text += row.cells.empty() ? "\\midrule\n" : latex_row(row.cells, row.style);
  return text + "\\bottomrule\n\\end{tabular}\n";
}

}  // namespace equipoise
