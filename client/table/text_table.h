// A table of aligned columns for people, two spaces apart, a rule under the titles, no trailing spaces; and as
// Markdown, HTML or CSV.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "client/console/console.h"

namespace equipoise {

// Rows of the CSV files of a report, as RFC 4180 has it but with "\n".

// Cells with a comma, a quote or a line end are put into quotes. One that is no number and begins as a formula of a
// spreadsheet, with = + - or @, gets a ' before it.
void add_csv_row(std::string& csv, const std::vector<std::string>& cells);

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
  // Neighbouring columns with the same band share this title above their own.
  std::string band = "";
  // Of a cell, by what it says; nullptr: none has a colour.
  TextColor (*color)(const std::string& cell) = nullptr;
};

// Which columns a table has: those that tell something of these rows, or all there are, and nothing shortened.
enum class TableDetail { kUsual, kWide };

// kText: for people. The others are for documents and programs: Markdown as GitHub has it, CSV as RFC 4180 but with
// "\n", LaTeX a tabular that needs \usepackage{booktabs}.
enum class TableFormat { kText, kMarkdown, kCsv, kLatex };

enum class RowStyle { kNormal, kMarked };

class TextTable {
 public:
  explicit TextTable(std::vector<Column> columns);

  // `cells` has one text per column, of any length and any script.
  void add_row(std::vector<std::string> cells, RowStyle style = RowStyle::kNormal);
  void add_rule();  // a line before the next row

  // Lines, each with its newline. With kOn a marked row is bold, and cells have the colours of their columns.
  std::string text(Colors colors, Glyphs glyphs) const;

  // Whatever a cell holds shows as it is. A band's title stands above its columns in LaTeX, before each of them
  // elsewhere; marked rows are bold. text_table.cc.
  std::string markdown() const;
  std::string csv() const;
  std::string latex() const;

 private:
  struct Row {
    std::vector<std::string> cells;  // empty: a rule
    RowStyle style;
  };
  struct Band {
    std::string title;
    std::size_t first;
    std::size_t count;
  };
  std::vector<Band> bands() const;
  std::vector<std::size_t> widths() const;
  std::string line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                   Colors colors = Colors::kOff) const;
  std::string band_line(const std::vector<std::size_t>& widths) const;
  std::vector<std::string> full_titles() const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

// Text as Markdown and LaTeX show it unchanged, in one line.
std::string markdown_text(const std::string& text);
std::string latex_text(const std::string& text);

}  // namespace equipoise
