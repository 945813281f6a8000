#include "client/evaluate/evaluation_table.h"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client/table/display_width.h"
#include "client/table/json_document.h"
#include "client/table/number_format.h"
#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/robust/worst_group.h"

namespace equipoise {
namespace {

using Json = nlohmann::json;

// Null stands for a number that is not finite.
double number_of(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

std::optional<EvaluatedValue> value_of(const Json& row, const std::string& name) {
  if (!row.contains(name)) return std::nullopt;
  EvaluatedValue value{.mean = number_of(row.at(name)), .error = std::nullopt};
  if (row.contains(name + "_error")) value.error = number_of(row.at(name + "_error"));
  return value;
}

EvaluatedGroup group_of(const Json& row) {
  return {.name = row.at("name").get<std::string>(),
          .pairs = row.at("pairs").get<double>(),
          .dropped = row.at("dropped").get<double>(),
          .loss = value_of(row, "loss"),
          .reward_accuracy = value_of(row, "reward_accuracy"),
          .logp_accuracy = value_of(row, "logp_accuracy")};
}

using Value = std::optional<EvaluatedValue> EvaluatedGroup::*;

struct ValueColumn {
  const char* title;
  Value value;
  std::string (*text)(std::optional<double>);
};
constexpr ValueColumn kColumns[] = {{"loss", &EvaluatedGroup::loss, loss_text},
                                    {"reward accuracy", &EvaluatedGroup::reward_accuracy, share_text},
                                    {"log-prob accuracy", &EvaluatedGroup::logp_accuracy, share_text}};

std::string cell(const std::optional<EvaluatedValue>& value, const ValueColumn& column, Glyphs glyphs) {
  if (!value) return column.text(std::nullopt);
  const char* const plus_minus = glyphs == Glyphs::kUnicode ? " \u00b1 " : " +- ";
  return column.text(value->mean) + plus_minus + column.text(value->error);
}

std::vector<std::string> row_of(const EvaluatedGroup& group, const std::vector<ValueColumn>& columns, bool with_dropped,
                                Glyphs glyphs) {
  std::vector<std::string> cells = {group.name, count_text(group.pairs)};
  if (with_dropped) cells.push_back(count_text(group.dropped));
  for (const ValueColumn& column : columns) cells.push_back(cell(group.*column.value, column, glyphs));
  return cells;
}

const EvaluatedGroup* worst_of(const std::vector<EvaluatedGroup>& groups) {
  const auto worst = worst_group(
      groups, [](const EvaluatedGroup& group) { return group.loss ? std::optional(group.loss->mean) : std::nullopt; });
  return groups.size() > 1 && worst != groups.end() ? &*worst : nullptr;
}

}  // namespace

EvaluationSummary read_evaluation_summary(const std::filesystem::path& path) {
  std::ifstream file(path);
  try {
    const Json content = Json::parse(file);
    EvaluationSummary summary{.all = group_of(content.at("all")), .groups = {}, .dropped_reason = "", .shortened = 0};
    if (content.contains("shortened")) summary.shortened = content.at("shortened").get<double>();
    for (const Json& row : content.at("groups")) summary.groups.push_back(group_of(row));
    if (content.contains("dropped_reason")) summary.dropped_reason = content.at("dropped_reason").get<std::string>();
    return summary;
  } catch (const Json::exception& fault) {
    throw PeerError(path.string() + " is not what the ranks should have written: " + fault.what());
  }
}

namespace {

std::vector<ValueColumn> shown_columns(const EvaluationSummary& summary) {
  std::vector<ValueColumn> shown;
  for (const ValueColumn& column : kColumns) {
    if (summary.all.*column.value) shown.push_back(column);
  }
  return shown;
}

TextTable table_of(const EvaluationSummary& summary, Glyphs glyphs) {
  const bool with_dropped = summary.all.dropped > 0;
  const std::vector<ValueColumn> values = shown_columns(summary);
  std::vector<Column> columns = {{"group"}, {"pairs", Align::kRight}};
  if (with_dropped) columns.push_back({"left out", Align::kRight});
  for (const ValueColumn& column : values) columns.push_back({column.title, Align::kRight});
  columns.push_back({""});
  TextTable table(std::move(columns));
  const EvaluatedGroup* worst = worst_of(summary.groups);
  for (const EvaluatedGroup& group : summary.groups) {
    std::vector<std::string> cells = row_of(group, values, with_dropped, glyphs);
    const bool is_worst = &group == worst;
    cells.push_back(is_worst ? (glyphs == Glyphs::kUnicode ? "\u25c0 worst" : "< worst") : "");
    table.add_row(std::move(cells), is_worst ? RowStyle::kMarked : RowStyle::kNormal);
  }
  table.add_rule();
  std::vector<std::string> all = row_of(summary.all, values, with_dropped, glyphs);
  all.push_back("");
  table.add_row(std::move(all));
  return table;
}

std::string numbers_as_csv(const EvaluationSummary& summary) {
  const std::vector<ValueColumn> values = shown_columns(summary);
  std::vector<Column> columns = {{"group"}, {"pairs"}, {"left_out"}};
  for (const ValueColumn& column : values) {
    columns.push_back({column.title});
    columns.push_back({std::string(column.title) + " error"});
  }
  TextTable table(std::move(columns));
  const auto add = [&](const std::string& name, const EvaluatedGroup& group) {
    std::vector<std::string> cells = {name, number_text(group.pairs), number_text(group.dropped)};
    for (const ValueColumn& column : values) {
      const auto& value = group.*column.value;
      cells.push_back(value ? number_text(value->mean) : "");
      cells.push_back(value && value->error ? number_text(*value->error) : "");
    }
    table.add_row(std::move(cells));
  };
  for (const EvaluatedGroup& group : summary.groups) add(group.name, group);
  add("(all pairs)", summary.all);
  return table.csv();
}

}  // namespace

std::string evaluation_table(const EvaluationSummary& summary, Colors colors, Glyphs glyphs) {
  return table_of(summary, glyphs).text(colors, glyphs);
}

std::string left_out_text(const EvaluationSummary& summary) {
  std::string text;
  if (summary.all.dropped > 0) {
    text = count_text(summary.all.dropped) + " of " + count_text(summary.all.pairs + summary.all.dropped) +
           " pairs are left out; the first: " + printable(summary.dropped_reason);
  }
  if (summary.shortened == 0) return text;
  return text + (text.empty() ? "" : "\n") + count_text(summary.shortened) + " of " + count_text(summary.all.pairs) +
         " pairs are shortened";
}

namespace {

nlohmann::ordered_json group_json(const EvaluatedGroup& group) {
  nlohmann::ordered_json value = {{"name", group.name}, {"pairs", group.pairs}, {"dropped", group.dropped}};
  const auto add = [&value](const std::string& name, const std::optional<EvaluatedValue>& number) {
    if (!number) return;
    value[name] = number->mean;
    if (number->error) value[name + "_error"] = *number->error;
  };
  add("loss", group.loss);
  add("reward_accuracy", group.reward_accuracy);
  add("logp_accuracy", group.logp_accuracy);
  return value;
}

}  // namespace

std::string evaluation_json(const EvaluationSummary& summary, const std::string& pairs_file) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  for (const EvaluatedGroup& group : summary.groups) groups.push_back(group_json(group));
  const EvaluatedGroup* const worst = worst_of(summary.groups);
  return json_document(
      {{"groups", std::move(groups)},
       {"all", group_json(summary.all)},
       {"worst_group", worst == nullptr ? nlohmann::ordered_json() : nlohmann::ordered_json(worst->name)},
       {"shortened", summary.shortened},
       {"dropped_reason", summary.dropped_reason},
       {"pairs_file", pairs_file}});
}

std::string evaluation_markup(const EvaluationSummary& summary, TableFormat format) {
  if (format == TableFormat::kCsv) return numbers_as_csv(summary);
  const TextTable table = table_of(summary, Glyphs::kUnicode);
  std::string text = format == TableFormat::kLatex ? table.latex() : table.markdown();
  std::istringstream below(left_out_text(summary));
  for (std::string line; std::getline(below, line);) {
    text += format == TableFormat::kLatex ? "% " + printable(line) + "\n" : "\n" + markdown_text(line) + "\n";
  }
  return text;
}

}  // namespace equipoise
