#include "client/report/run_comparison.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "client/report/metrics_reader.h"
#include "client/table/display_width.h"
#include "client/table/json_document.h"
#include "client/table/number_format.h"
#include "common/base/message_text.h"
#include "common/robust/worst_group.h"

namespace equipoise {
namespace {

namespace schema = metrics_schema;

using GroupNumbers = std::vector<std::pair<std::string, double>>;

// Sets a result of each group that has a number; one that is not finite only where it says something.
enum class NotFinite { kLeftOut, kTaken };

void take(const GroupNumbers& numbers, std::optional<double> GroupResult::*number, NotFinite not_finite,
          std::map<std::string, GroupResult>& groups) {
  for (const auto& [group, value] : numbers) {
    const auto found = groups.find(group);
    if (found == groups.end() || (std::isnan(value) && not_finite == NotFinite::kLeftOut)) continue;
    found->second.*number = value;
  }
}

Evaluation read_evaluation(const MetricsRecord& record, std::vector<std::string>& group_names) {
  Evaluation evaluation{record.integer(schema::kStep), {}};
  if (!record.has(schema::kGroupLoss)) record.refuse("field \"group_loss\" is missing");
  const GroupNumbers losses = record.by_group(schema::kGroupLoss);
  for (const auto& [group, loss] : losses) {
    evaluation.groups[group] = {};
    if (std::ranges::find(group_names, group) == group_names.end()) group_names.push_back(group);
  }
  take(losses, &GroupResult::loss, NotFinite::kTaken, evaluation.groups);  // the worst off
  take(record.by_group(schema::kGroupAccuracy), &GroupResult::accuracy, NotFinite::kLeftOut, evaluation.groups);
  take(record.by_group(schema::kGroupWeight), &GroupResult::weight, NotFinite::kLeftOut, evaluation.groups);
  take(record.errors_by_group(schema::kGroupLoss), &GroupResult::loss_error, NotFinite::kLeftOut, evaluation.groups);
  take(record.errors_by_group(schema::kGroupAccuracy), &GroupResult::accuracy_error, NotFinite::kLeftOut,
       evaluation.groups);
  return evaluation;
}

std::string run_name(const std::filesystem::path& file) {
  const std::filesystem::path folder = std::filesystem::absolute(file).lexically_normal().parent_path();
  return folder.filename().empty() ? folder.string() : folder.filename().string();
}

// A run's model or a checkpoint is not the run.
void check_is_no_part_of_a_run(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::path whole = std::filesystem::absolute(folder).lexically_normal();
  if (whole.filename().empty()) whole = whole.parent_path();
  if (std::filesystem::exists(folder / schema::kFileName, ignored)) return;
  for (const std::filesystem::path& run : {whole.parent_path(), whole.parent_path().parent_path()}) {
    if (!std::filesystem::exists(run / schema::kFileName, ignored)) continue;
    throw std::invalid_argument(
        folder.string() + ": is a folder of a run, which has the metrics: name the run's folder, " + run.string());
  }
}

}  // namespace

RunMetrics read_run_metrics(const std::filesystem::path& run) {
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(run, ignored);
  if (is_folder) check_is_no_part_of_a_run(run);
  const auto file = is_folder ? run / schema::kFileName : run;
  RunMetrics metrics{run_name(file), {}, {}, {}};
  bool found = false;
  read_metrics(file, [&](const MetricsRecord& record) {
    if (!record.is_evaluation()) return;
    metrics.after = read_evaluation(record, metrics.group_names);
    if (!found) metrics.before = metrics.after;
    found = true;
  });
  if (!found) throw std::invalid_argument(file.string() + ": holds no line with \"split\": \"validation\"");
  return metrics;
}

namespace {

// A mean over a group's pairs.
struct Measure {
  std::optional<double> value;
  std::optional<double> error;  // standard
};

struct Worst {
  std::string group;
  Measure loss;
  Measure accuracy;  // lowest of all groups, perhaps of another one
};

Measure loss_of(const GroupResult& result) { return {result.loss, result.loss_error}; }
Measure accuracy_of(const GroupResult& result) { return {result.accuracy, result.accuracy_error}; }

Worst worst_of(const Evaluation& evaluation) {
  Worst worst;
  const auto group = worst_group(evaluation.groups, [](const auto& named) { return named.second.loss; });
  if (group != evaluation.groups.end()) {
    worst.group = group->first;
    worst.loss = loss_of(group->second);
  }
  for (const auto& [name, result] : evaluation.groups) {
    if (result.accuracy && (!worst.accuracy.value || *result.accuracy < *worst.accuracy.value)) {
      worst.accuracy = accuracy_of(result);
    }
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

using NumberText = std::string (*)(std::optional<double>);

const char* plus_minus(Glyphs glyphs) { return glyphs == Glyphs::kUnicode ? "\u00b1" : "+-"; }

std::string with_error(const Measure& measure, NumberText text, Glyphs glyphs) {
  if (!measure.error) return text(measure.value);
  return text(measure.value) + " " + plus_minus(glyphs) + " " + share_text(measure.error);
}

std::string change(const Measure& before, const Measure& after, NumberText text, Glyphs glyphs) {
  return text(before.value) + (glyphs == Glyphs::kUnicode ? " \u2192 " : " -> ") + with_error(after, text, glyphs);
}

TextTable table_of(std::span<const RunMetrics> runs, Glyphs glyphs) {
  std::vector<Column> columns = {{"group"}};
  std::vector<std::string> last_row = {"worst"};
  for (const RunMetrics& run : runs) {
    columns.push_back({"validation loss", Align::kLeft, run.name});
    columns.push_back({"accuracy", Align::kLeft, run.name});
    const Worst before = worst_of(run.before);
    const Worst after = worst_of(run.after);
    last_row.push_back(change(before.loss, after.loss, loss_text, glyphs));
    last_row.push_back(change(before.accuracy, after.accuracy, share_text, glyphs));
  }
  TextTable table(std::move(columns));
  for (const std::string& group : all_groups(runs)) {
    std::vector<std::string> row = {group};
    for (const RunMetrics& run : runs) {
      const GroupResult before = result_of(run.before, group);
      const GroupResult after = result_of(run.after, group);
      const std::string mark = worst_of(run.after).group == group ? " *" : "";
      row.push_back(change(loss_of(before), loss_of(after), loss_text, glyphs) + mark);
      row.push_back(change(accuracy_of(before), accuracy_of(after), share_text, glyphs));
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
  TextTable table({{"run"},
                   {"group"},
                   {"steps"},
                   {"loss_before"},
                   {"loss_after"},
                   {"loss_after_error"},
                   {"accuracy_before"},
                   {"accuracy_after"},
                   {"accuracy_after_error"}});
  for (const RunMetrics& run : runs) {
    for (const std::string& group : run.group_names) {
      const GroupResult before = result_of(run.before, group);
      const GroupResult after = result_of(run.after, group);
      table.add_row({run.name, group, std::to_string(run.after.step), number_or_nothing(before.loss),
                     number_or_nothing(after.loss), number_or_nothing(after.loss_error),
                     number_or_nothing(before.accuracy), number_or_nothing(after.accuracy),
                     number_or_nothing(after.accuracy_error)});
    }
  }
  return table.csv();
}

std::string worst_sentence(const RunMetrics& run, Glyphs glyphs) {
  const Worst worst = worst_of(run.after);
  const std::string name = printable(run.name) + ": ";
  if (run.after.step == 0) {
    return name + "not evaluated since it began; before the first step " + printable(worst.group) +
           " is worst off, validation loss " + loss_text(worst.loss.value) + "\n";
  }
  return name + "after " + counted(run.after.step, "step") + " " + printable(worst.group) +
         " is worst off, validation loss " +
         change(loss_of(result_of(run.before, worst.group)), worst.loss, loss_text, glyphs) + "\n";
}

// Of two means over different pairs. The pairs of one group in both runs are the same, and their errors may go together
// either way: then this is not the error of the difference, but still of its size.
std::string difference_text(const Measure& mine, const Measure& other, NumberText text, Glyphs glyphs) {
  if (!mine.value || !other.value) return text(std::nullopt);
  Measure difference{*mine.value - *other.value, std::nullopt};
  if (mine.error && other.error) difference.error = std::hypot(*mine.error, *other.error);
  return (*difference.value > 0 ? "+" : "") + with_error(difference, text, glyphs);
}

std::string difference_sentence(const RunMetrics& run, const RunMetrics& first, Glyphs glyphs) {
  const Worst mine = worst_of(run.after), other = worst_of(first.after);
  return printable(run.name) + " against " + printable(first.name) + ": worst loss " +
         difference_text(mine.loss, other.loss, loss_text, glyphs) + ", worst accuracy " +
         difference_text(mine.accuracy, other.accuracy, share_text, glyphs) + "\n";
}

}  // namespace

std::string run_comparison(std::span<const RunMetrics> runs, std::size_t columns, Colors colors, Glyphs glyphs) {
  const std::string together = one_table(runs, Colors::kOff, glyphs);
  std::string text;
  if (runs.size() == 1 || text_width(together) <= columns) {
    text = one_table(runs, colors, glyphs) + "\n";
  } else {
    for (std::size_t i = 0; i < runs.size(); ++i) text += one_table(runs.subspan(i, 1), colors, glyphs) + "\n";
  }
  for (const RunMetrics& run : runs) text += worst_sentence(run, glyphs);
  for (const RunMetrics& run : runs.subspan(std::min<std::size_t>(runs.size(), 1)))
    text += difference_sentence(run, runs.front(), glyphs);
  const std::string sign = plus_minus(glyphs);
  if (runs.size() > 1 && text.find(sign) != std::string::npos) {
    text += sign + " one standard error, of a difference as of runs on pairs of their own\n";
  }
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

namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson value_or_null(const std::optional<double>& value) { return value ? OrderedJson(*value) : OrderedJson(); }

OrderedJson result_json(const GroupResult& result) {
  return {{"loss", value_or_null(result.loss)},
          {"loss_error", value_or_null(result.loss_error)},
          {"accuracy", value_or_null(result.accuracy)},
          {"accuracy_error", value_or_null(result.accuracy_error)},
          {"weight", value_or_null(result.weight)}};
}

OrderedJson worst_json(const Worst& worst) {
  return {{"group", worst.group},
          {"loss", value_or_null(worst.loss.value)},
          {"lowest_accuracy", value_or_null(worst.accuracy.value)}};
}

OrderedJson run_json(const RunMetrics& run) {
  OrderedJson groups = OrderedJson::array();
  for (const std::string& group : run.group_names) {
    groups.push_back({{"name", group},
                      {"before", result_json(result_of(run.before, group))},
                      {"after", result_json(result_of(run.after, group))}});
  }
  return {{"name", run.name},
          {"first_step", run.before.step},
          {"last_step", run.after.step},
          {"worst_before", worst_json(worst_of(run.before))},
          {"worst_after", worst_json(worst_of(run.after))},
          {"groups", std::move(groups)}};
}

}  // namespace

std::string run_comparison_json(std::span<const RunMetrics> runs) {
  OrderedJson list = OrderedJson::array();
  for (const RunMetrics& run : runs) list.push_back(run_json(run));
  return json_document({{"runs", std::move(list)}});
}

}  // namespace equipoise
