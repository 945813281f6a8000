#include "client/data/survey_import.h"

#include "client/data/output_folder.h"
#include "client/data/preference_writer.h"
#include "common/base/durable_file.h"

namespace equipoise {
namespace {

void write_pairs(DurableFile& file, const PreferenceData& data) {
  write_lines(data, file);
  file.flush();
}

SurveyImport files_in(const std::filesystem::path& output) {
  return {.train = output / "train.jsonl", .validation = output / "validation.jsonl", .groups = {}};
}

}  // namespace

void check_survey_output(const std::filesystem::path& survey, const std::filesystem::path& output) {
  const SurveyImport files = files_in(output);
  for (const auto& file : {files.train, files.validation}) {
    check_output_is_not(survey, file, "the survey " + survey.string());
  }
}

SurveyImport write_survey_pairs(const SurveyPairs& pairs, const std::filesystem::path& output) {
  SurveyImport written = files_in(output);
  written.groups = pairs.groups;
  make_output_folder(output);
  DurableFile train(written.train);
  DurableFile validation(written.validation);
  write_pairs(train, pairs.train);
  write_pairs(validation, pairs.validation);
  commit_both(train, written.train, validation);
  return written;
}

SurveyImport import_opinionqa(const std::filesystem::path& file, const std::filesystem::path& output,
                              const SurveyPairOptions& options, const OnBytes& on_bytes) {
  check_survey_output(file, output);
  return write_survey_pairs(make_survey_pairs(read_opinionqa(file, on_bytes), options), output);
}

}  // namespace equipoise
