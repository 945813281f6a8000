#include "client/report/group_table.h"

#include <functional>
#include <optional>
#include <vector>

#include "client/table/number_format.h"
#include "client/table/text_table.h"
#include "common/robust/worst_group.h"

namespace equipoise {
namespace {

using Value = std::optional<double> (*)(const v1::GroupStatus&);

struct ValueColumn {
  Column column;
  Value value;
  std::string (*text)(std::optional<double>);
};

#define EQUIPOISE_GROUP_VALUE(name) \
  [](const v1::GroupStatus& group) { return group.has_##name() ? std::optional(group.name()) : std::nullopt; }

std::vector<ValueColumn> value_columns() {
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

bool any_group_has(const v1::TrainingJob& job, Value value) {
  for (const v1::GroupStatus& group : job.groups()) {
    if (value(group)) return true;
  }
  return false;
}

// Validation tells more than the last batch, which is shown only where there is no validation.
std::vector<ValueColumn> shown_columns(const v1::TrainingJob& job) {
  const bool evaluated = any_group_has(job, EQUIPOISE_GROUP_VALUE(validation_loss));
  std::vector<ValueColumn> shown;
  for (const ValueColumn& column : value_columns()) {
    const bool of_batch = column.column.band == "last batch";
    if (of_batch != evaluated && any_group_has(job, column.value)) shown.push_back(column);
  }
  return shown;
}

const v1::GroupStatus* worst_of(const v1::TrainingJob& job) {
  Value loss = EQUIPOISE_GROUP_VALUE(validation_loss);
  if (!any_group_has(job, loss)) loss = EQUIPOISE_GROUP_VALUE(train_loss);
  const auto worst = worst_group(job.groups(), loss);
  return job.groups_size() > 1 && worst != job.groups().end() ? &*worst : nullptr;
}

#undef EQUIPOISE_GROUP_VALUE

}  // namespace

std::string group_table(const v1::TrainingJob& job, Colors colors, Glyphs glyphs) {
  if (job.groups().empty()) return "";
  const std::vector<ValueColumn> values = shown_columns(job);
  const v1::GroupStatus* worst = worst_of(job);

  std::vector<Column> columns = {{"group"}, {"pairs", Align::kRight}, {"weight", Align::kRight}};
  for (const ValueColumn& value : values) columns.push_back(value.column);
  columns.push_back({""});
  TextTable table(std::move(columns));
  for (const v1::GroupStatus& group : job.groups()) {
    std::vector<std::string> cells = {group.name(), count_text(group.pair_count()), share_text(group.weight())};
    for (const ValueColumn& value : values) cells.push_back(value.text(value.value(group)));
    const bool is_worst = &group == worst;
    cells.push_back(is_worst ? (glyphs == Glyphs::kUnicode ? "◀ worst" : "< worst") : "");
    table.add_row(std::move(cells), is_worst ? RowStyle::kMarked : RowStyle::kNormal);
  }
  return table.text(colors, glyphs);
}

}  // namespace equipoise
