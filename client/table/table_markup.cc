// TextTable of text_table.h as Markdown, CSV and LaTeX.
#include <string_view>

#include "client/table/csv_text.h"
#include "client/table/display_width.h"
#include "client/table/text_table.h"

namespace equipoise {
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
