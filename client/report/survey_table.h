// What became of a survey, group by group.
#pragma once

#include <span>
#include <string>

#include "client/console.h"
#include "client/data/survey_pairs.h"

namespace equipoise {

// Questions with a top answer and without, pairs in each file, and in what share of the questions the group's top
// answer is not everybody's.
std::string survey_table(std::span<const SurveyGroupSummary> groups, Colors colors, Glyphs glyphs);

}  // namespace equipoise
