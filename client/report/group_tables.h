// Tables by group: of a job, of the history of its alpha, of data files and of what became of a survey.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "client/console/console.h"
#include "client/data/preference_import.h"
#include "client/data/survey_pairs.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// Every group of a job: how many pairs, how much it counts, what it lost before and after.

// The worst group (highest validation loss; training loss where nothing was evaluated) is marked. Columns that no group
// has a value for are left out. Empty where the job has no groups yet.
std::string group_table(const v1::TrainingJob& job, Colors colors, Glyphs glyphs);

// The history of alpha as a table for other programs.

// "step,generation,GROUP,..." and a line per step, as RFC 4180 has it. Numbers read back to the same bits.
std::string weight_history_csv(const v1::ListGroupWeightsResponse& history);

// How many pairs each group has in data files.

// A row for each group; two columns where there is a validation file. Equal answers, empty answers and duplicates have
// a column each where a group has some.
std::string preference_table(const PreferenceCounts& counts, Colors colors, Glyphs glyphs);

// For programs: {"groups": [{"group", "train", "validation", "equal_answers", ...}], "train", "validation", ...}.
nlohmann::ordered_json preference_json(const PreferenceCounts& counts);

// What became of a survey, group by group.

// Questions with a top answer and without, pairs in each file, and in what share of the questions the group's top
// answer is not everybody's.
std::string survey_table(std::span<const SurveyGroupSummary> groups, Colors colors, Glyphs glyphs);

// For programs, a list: {"group", "questions", "without_top", "train", "validation", "compared", "differing"}.
nlohmann::ordered_json survey_json(std::span<const SurveyGroupSummary> groups);

}  // namespace equipoise
