#include "client/report/preference_table.h"

#include "client/table/text_table.h"

namespace equipoise {

std::string preference_table(const PreferenceCounts& counts, Colors colors, Glyphs glyphs) {
  const bool split = counts.validation > 0;
  std::vector<Column> columns = {{"group"}, {split ? "train" : "pairs", Align::kRight, split ? "pairs" : ""}};
  if (split) columns.push_back({"validation", Align::kRight, "pairs"});
  TextTable table(columns);
  for (const GroupPairs& group : counts.groups) {
    std::vector<std::string> cells = {group.group, std::to_string(group.train)};
    if (split) cells.push_back(std::to_string(group.validation));
    table.add_row(std::move(cells));
  }
  return table.text(colors, glyphs);
}

}  // namespace equipoise
