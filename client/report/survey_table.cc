#include "client/report/survey_table.h"

#include <optional>

#include "client/table/number_format.h"
#include "client/table/text_table.h"

namespace equipoise {

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

}  // namespace equipoise
