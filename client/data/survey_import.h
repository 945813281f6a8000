// `equipoise data import`: a survey file in, train.jsonl and validation.jsonl out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "client/data/survey_pairs.h"

namespace equipoise {

struct SurveyImport {
  std::filesystem::path train;       // OUTPUT/train.jsonl
  std::filesystem::path validation;  // OUTPUT/validation.jsonl
  std::vector<SurveyGroupSummary> groups;
};

// Reads `file` (read_opinionqa, with `on_bytes`), converts it (make_survey_pairs) and writes both files or none into
// `output`, which is made if it is not there. Throws as those and check_survey_output() do.
SurveyImport import_opinionqa(const std::filesystem::path& file, const std::filesystem::path& output,
                              const SurveyPairOptions& options, const OnBytes& on_bytes = {});

// Throws std::invalid_argument where one of the files in `output` is the survey that they are made of.
void check_survey_output(const std::filesystem::path& survey, const std::filesystem::path& output);

// The last step alone, for other survey formats.
SurveyImport write_survey_pairs(const SurveyPairs& pairs, const std::filesystem::path& output);

}  // namespace equipoise
