#include "client/report/run_comparison.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "client/table/display_width.h"
#include "client/table/number_format.h"
#include "common/base/number_text.h"

namespace equipoise {
namespace {

struct Worst {
  std::string group;
  std::optional<double> loss;
  std::optional<double> accuracy;  // lowest of all groups, perhaps of another one
};

Worst worst_of(const Evaluation& evaluation) {
  Worst worst;
  for (const auto& [name, result] : evaluation.groups) {
    if (result.loss && (!worst.loss || *result.loss > *worst.loss)) {
      worst.loss = result.loss;
      worst.group = name;
    }
    if (result.accuracy && (!worst.accuracy || *result.accuracy < *worst.accuracy)) worst.accuracy = result.accuracy;
  }
  return worst;
}

GroupResult result_of(const Evaluation& evaluation, const std::string& group) {
  const auto found = evaluation.groups.find(group);
  return found == evaluation.groups.end() ? GroupResult{} : found->second;
}

std::vector<std::string> all_groups(std::span<const RunMetrics> runs) {
  std::vector<std::string> groups;
  for (const RunMetrics& run : runs) {
    for (const std::string& group : run.group_names) {
      if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
    }
  }
  return groups;
}

std::string change(const std::string& before, const std::string& after, Glyphs glyphs) {
  return before + (glyphs == Glyphs::kUnicode ? " \u2192 " : " -> ") + after;
}

TextTable table_of(std::span<const RunMetrics> runs, Glyphs glyphs) {
  std::vector<Column> columns = {{"group"}};
  std::vector<std::string> last_row = {"worst"};
  for (const RunMetrics& run : runs) {
    columns.push_back({"validation loss", Align::kLeft, run.name});
    columns.push_back({"accuracy", Align::kLeft, run.name});
    const Worst before = worst_of(run.before);
    const Worst after = worst_of(run.after);
    last_row.push_back(change(loss_text(before.loss), loss_text(after.loss), glyphs));
    last_row.push_back(change(share_text(before.accuracy), share_text(after.accuracy), glyphs));
  }
  TextTable table(std::move(columns));
  for (const std::string& group : all_groups(runs)) {
    std::vector<std::string> row = {group};
    for (const RunMetrics& run : runs) {
      const GroupResult before = result_of(run.before, group);
      const GroupResult after = result_of(run.after, group);
      const std::string mark = worst_of(run.after).group == group ? " *" : "";
      row.push_back(change(loss_text(before.loss), loss_text(after.loss), glyphs) + mark);
      row.push_back(change(share_text(before.accuracy), share_text(after.accuracy), glyphs));
    }
    table.add_row(std::move(row));
  }
  table.add_rule();
  table.add_row(std::move(last_row), RowStyle::kMarked);
  return table;
}

std::string one_table(std::span<const RunMetrics> runs, Colors colors, Glyphs glyphs) {
  return table_of(runs, glyphs).text(colors, glyphs);
}

std::string number_or_nothing(const std::optional<double>& value) { return value ? number_text(*value) : ""; }

// A row for each run and group: numbers alone, in columns of their own.
std::string numbers_as_csv(std::span<const RunMetrics> runs) {
  TextTable table(
      {{"run"}, {"group"}, {"steps"}, {"loss_before"}, {"loss_after"}, {"accuracy_before"}, {"accuracy_after"}});
  for (const RunMetrics& run : runs) {
    for (const std::string& group : run.group_names) {
      const GroupResult before = result_of(run.before, group);
      const GroupResult after = result_of(run.after, group);
      table.add_row({run.name, group, std::to_string(run.after.step), number_or_nothing(before.loss),
                     number_or_nothing(after.loss), number_or_nothing(before.accuracy),
                     number_or_nothing(after.accuracy)});
    }
  }
  return table.csv();
}

std::size_t table_width(const std::string& table) {
  std::size_t width = 0;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) width = std::max(width, display_width(line));
  return width;
}

std::string worst_sentence(const RunMetrics& run, Glyphs glyphs) {
  const Worst worst = worst_of(run.after);
  return printable(run.name) + ": after " + std::to_string(run.after.step) + " steps " + printable(worst.group) +
         " is worst off, validation loss " +
         change(loss_text(result_of(run.before, worst.group).loss), loss_text(worst.loss), glyphs) + "\n";
}

}  // namespace

std::string run_comparison(std::span<const RunMetrics> runs, std::size_t columns, Colors colors, Glyphs glyphs) {
  const std::string together = one_table(runs, Colors::kOff, glyphs);
  std::string text;
  if (runs.size() == 1 || table_width(together) <= columns) {
    text = one_table(runs, colors, glyphs) + "\n";
  } else {
    for (std::size_t i = 0; i < runs.size(); ++i) text += one_table(runs.subspan(i, 1), colors, glyphs) + "\n";
  }
  for (const RunMetrics& run : runs) text += worst_sentence(run, glyphs);
  return text;
}

std::string run_comparison_markup(std::span<const RunMetrics> runs, TableFormat format) {
  if (format == TableFormat::kCsv) return numbers_as_csv(runs);
  const TextTable table = table_of(runs, Glyphs::kUnicode);
  std::string text = format == TableFormat::kLatex ? table.latex() : table.markdown() + "\n";
  for (const RunMetrics& run : runs) {
    const std::string sentence = worst_sentence(run, Glyphs::kUnicode);
    text += format == TableFormat::kLatex ? "% " + sentence : "- " + markdown_text(sentence) + "\n";
  }
  return text;
}

}  // namespace equipoise
