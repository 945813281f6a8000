#include "client/report/preference_table.h"

#include <algorithm>
#include <array>

#include "client/table/text_table.h"

namespace equipoise {
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

}  // namespace equipoise
