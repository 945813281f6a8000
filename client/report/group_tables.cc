#include "client/report/group_tables.h"

#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "client/table/number_format.h"
#include "client/table/text_table.h"
#include "common/base/message_text.h"
#include "common/robust/worst_group.h"

namespace equipoise {
namespace {

using GroupValue = std::optional<double> (*)(const v1::GroupStatus&);

struct GroupValueColumn {
  Column column;
  GroupValue value;
  std::string (*text)(std::optional<double>);
};

#define EQUIPOISE_GROUP_VALUE(name) \
  [](const v1::GroupStatus& group) { return group.has_##name() ? std::optional(group.name()) : std::nullopt; }

std::vector<GroupValueColumn> value_columns() {
  constexpr Align kRight = Align::kRight;
  return {
      {{"before", kRight, "validation loss"}, EQUIPOISE_GROUP_VALUE(initial_validation_loss), loss_text},
      {{"after", kRight, "validation loss"}, EQUIPOISE_GROUP_VALUE(validation_loss), loss_text},
      {{"before", kRight, "reward accuracy"}, EQUIPOISE_GROUP_VALUE(initial_validation_reward_accuracy), share_text},
      {{"after", kRight, "reward accuracy"}, EQUIPOISE_GROUP_VALUE(validation_reward_accuracy), share_text},
      {{"loss", kRight, "last batch"}, EQUIPOISE_GROUP_VALUE(train_loss), loss_text},
      {{"accuracy", kRight, "last batch"}, EQUIPOISE_GROUP_VALUE(train_reward_accuracy), share_text},
  };
}

bool any_group_has(const v1::TrainingJob& job, GroupValue value) {
  for (const v1::GroupStatus& group : job.groups()) {
    if (value(group)) return true;
  }
  return false;
}

// Validation tells more than the last batch, which is shown only where there is no validation. "After" is an evaluation
// that is not the one before the first step.
std::vector<GroupValueColumn> shown_columns(const v1::TrainingJob& job) {
  const bool evaluated = any_group_has(job, EQUIPOISE_GROUP_VALUE(validation_loss));
  const bool only_before = job.has_validation_step() && job.validation_step() == 0;
  std::vector<GroupValueColumn> shown;
  for (const GroupValueColumn& column : value_columns()) {
    if (only_before && column.column.title == "after") continue;
    const bool of_batch = column.column.band == "last batch";
    if (of_batch != evaluated && any_group_has(job, column.value)) shown.push_back(column);
  }
  return shown;
}

const v1::GroupStatus* worst_of(const v1::TrainingJob& job) {
  GroupValue loss = EQUIPOISE_GROUP_VALUE(validation_loss);
  if (!any_group_has(job, loss)) loss = EQUIPOISE_GROUP_VALUE(train_loss);
  const auto worst = worst_group(job.groups(), loss);
  return job.groups_size() > 1 && worst != job.groups().end() ? &*worst : nullptr;
}

#undef EQUIPOISE_GROUP_VALUE

}  // namespace

std::string group_table(const v1::TrainingJob& job, Colors colors, Glyphs glyphs) {
  if (job.groups().empty()) return "";
  const std::vector<GroupValueColumn> values = shown_columns(job);
  const v1::GroupStatus* worst = worst_of(job);

  std::vector<Column> columns = {{"group"}, {"pairs", Align::kRight}, {"weight", Align::kRight}};
  for (const GroupValueColumn& value : values) columns.push_back(value.column);
  columns.push_back({""});
  TextTable table(std::move(columns));
  for (const v1::GroupStatus& group : job.groups()) {
    std::vector<std::string> cells = {group.name(), count_text(group.pair_count()), share_text(group.weight())};
    for (const GroupValueColumn& value : values) cells.push_back(value.text(value.value(group)));
    const bool is_worst = &group == worst;
    cells.push_back(is_worst ? (glyphs == Glyphs::kUnicode ? "◀ worst" : "< worst") : "");
    table.add_row(std::move(cells), is_worst ? RowStyle::kMarked : RowStyle::kNormal);
  }
  return table.text(colors, glyphs);
}

std::string weight_history_csv(const v1::ListGroupWeightsResponse& history) {
  std::vector<std::string> titles = {"step", "generation"};
  titles.insert(titles.end(), history.group_names().begin(), history.group_names().end());
  std::string csv;
  add_csv_row(csv, titles);
  for (const v1::GroupWeightRecord& record : history.records()) {
    std::vector<std::string> cells = {std::to_string(record.step()), std::to_string(record.generation())};
    for (const double alpha : record.alpha()) cells.push_back(number_text(alpha));
    add_csv_row(csv, cells);
  }
  return csv;
}

namespace {

struct OddPairs {
  const char* title;
  std::int64_t GroupPairs::*count;
};
constexpr std::array kOddPairs = {OddPairs{"equal answers", &GroupPairs::equal_answers},
                                  OddPairs{"empty answers", &GroupPairs::empty_answers},
                                  OddPairs{"duplicates", &GroupPairs::duplicates}};

}  // namespace

std::string preference_table(const PreferenceCounts& counts, Colors colors, Glyphs glyphs) {
  const bool split = counts.validation > 0;
  std::vector<Column> columns = {{"group"}, {split ? "train" : "pairs", Align::kRight, split ? "pairs" : ""}};
  if (split) columns.push_back({"validation", Align::kRight, "pairs"});
  std::vector<OddPairs> odd;
  for (const OddPairs& kind : kOddPairs) {
    if (std::ranges::none_of(counts.groups, [&](const GroupPairs& group) { return group.*kind.count > 0; })) continue;
    odd.push_back(kind);
    columns.push_back({kind.title, Align::kRight, "of these"});
  }
  TextTable table(columns);
  for (const GroupPairs& group : counts.groups) {
    std::vector<std::string> cells = {group.group, std::to_string(group.train)};
    if (split) cells.push_back(std::to_string(group.validation));
    for (const OddPairs& kind : odd) cells.push_back(std::to_string(group.*kind.count));
    table.add_row(std::move(cells));
  }
  std::string text = table.text(colors, glyphs);
  if (!counts.all_duplicates_found)
    text += "\nduplicates are those of the first pairs alone; there are too many to compare all\n";
  return text;
}

std::string survey_table(std::span<const SurveyGroupSummary> groups, Colors colors, Glyphs glyphs) {
  constexpr Align kRight = Align::kRight;
  TextTable table({{"group"},
                   {"questions", kRight},
                   {"without top", kRight},
                   {"train", kRight, "pairs"},
                   {"validation", kRight, "pairs"},
                   {"differs from all", kRight}});
  for (const SurveyGroupSummary& group : groups) {
    const auto differing = group.compared == 0 ? std::nullopt : std::optional(group.differing_share());
    table.add_row({group.group, std::to_string(group.questions), std::to_string(group.without_top),
                   std::to_string(group.train_pairs), std::to_string(group.validation_pairs), share_text(differing)});
  }
  return table.text(colors, glyphs);
}

nlohmann::ordered_json preference_json(const PreferenceCounts& counts) {
  nlohmann::ordered_json groups = nlohmann::ordered_json::array();
  for (const GroupPairs& group : counts.groups) {
    groups.push_back({{"group", group.group},
                      {"train", group.train},
                      {"validation", group.validation},
                      {"equal_answers", group.equal_answers},
                      {"empty_answers", group.empty_answers},
                      {"duplicates", group.duplicates}});
  }
  return {{"train", counts.train},
          {"validation", counts.validation},
          {"groups", std::move(groups)},
          {"all_duplicates_found", counts.all_duplicates_found},
          {"notes", counts.notes}};
}

nlohmann::ordered_json survey_json(std::span<const SurveyGroupSummary> groups) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const SurveyGroupSummary& group : groups) {
    list.push_back({{"group", group.group},
                    {"questions", group.questions},
                    {"without_top", group.without_top},
                    {"train", group.train_pairs},
                    {"validation", group.validation_pairs},
                    {"compared", group.compared},
                    {"differing", group.differing}});
  }
  return list;
}

}  // namespace equipoise
