#include "client/evaluate/evaluation_table.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "client/table/number_format.h"
#include "client/table/text_table.h"
#include "common/base/error.h"

namespace equipoise {
namespace {

using Json = nlohmann::json;

std::optional<EvaluatedValue> value_of(const Json& row, const std::string& name) {
  if (!row.contains(name)) return std::nullopt;
  EvaluatedValue value{.mean = row.at(name).get<double>(), .error = std::nullopt};
  if (row.contains(name + "_error")) value.error = row.at(name + "_error").get<double>();
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
  const EvaluatedGroup* worst = nullptr;
  for (const EvaluatedGroup& group : groups) {
    if (group.loss && (worst == nullptr || group.loss->mean > worst->loss->mean)) worst = &group;
  }
  return groups.size() > 1 ? worst : nullptr;
}

}  // namespace

EvaluationSummary read_evaluation_summary(const std::filesystem::path& path) {
  std::ifstream file(path);
  try {
    const Json content = Json::parse(file);
    EvaluationSummary summary{.all = group_of(content.at("all")), .groups = {}, .dropped_reason = ""};
    for (const Json& row : content.at("groups")) summary.groups.push_back(group_of(row));
    if (content.contains("dropped_reason")) summary.dropped_reason = content.at("dropped_reason").get<std::string>();
    return summary;
  } catch (const Json::exception& fault) {
    throw PeerError(path.string() + " is not what the ranks should have written: " + fault.what());
  }
}

std::string evaluation_table(const EvaluationSummary& summary, Colors colors, Glyphs glyphs) {
  const bool with_dropped = summary.all.dropped > 0;
  std::vector<ValueColumn> values;
  std::vector<Column> columns = {{"group"}, {"pairs", Align::kRight}};
  if (with_dropped) columns.push_back({"left out", Align::kRight});
  for (const ValueColumn& column : kColumns) {
    if (!(summary.all.*column.value)) continue;
    values.push_back(column);
    columns.push_back({column.title, Align::kRight});
  }
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
  return table.text(colors, glyphs);
}

}  // namespace equipoise
