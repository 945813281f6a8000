#include "client/data/survey_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "client/data/survey_generator.h"
#include "common/dataset/preference_pair.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace survey_import_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(SurveyImport, WritesFilesThatTrainingReads) {
  const TempFolder folder;
  write_opinionqa(folder / "survey.jsonl", generate_survey({.questions = 70}));
  const SurveyImport written = import_opinionqa(folder / "survey.jsonl", folder / "new" / "data", {});
  const PreferenceData train = read_preference_file(written.train, Rejected::kRequired);
  const PreferenceData validation = read_preference_file(written.validation, Rejected::kRequired, train.group_names);
  std::size_t train_pairs = 0, validation_pairs = 0;
  for (const SurveyGroupSummary& group : written.groups) {
    train_pairs += group.train_pairs;
    validation_pairs += group.validation_pairs;
  }
  EXPECT_EQ(train.pairs.size(), train_pairs);
  EXPECT_EQ(validation.pairs.size(), validation_pairs);
  EXPECT_EQ(train.group_names.size(), written.groups.size());
  EXPECT_EQ(validation.group_names, train.group_names);
}

TEST(SurveyImport, GivesTheSameBytesForTheSameSeed) {
  const TempFolder folder;
  write_opinionqa(folder / "survey.jsonl", generate_survey({.questions = 70}));
  const auto first = import_opinionqa(folder / "survey.jsonl", folder / "a", {.seed = 9});
  const auto second = import_opinionqa(folder / "survey.jsonl", folder / "b", {.seed = 9});
  EXPECT_EQ(read_file(first.train), read_file(second.train));
  EXPECT_EQ(read_file(first.validation), read_file(second.validation));
}

TEST(SurveyImport, LeavesNothingOfABadFile) {
  const TempFolder folder;
  write_opinionqa(folder / "survey.jsonl", generate_survey({.questions = 70}));
  const auto bad = folder.write("bad.jsonl", read_file(folder / "survey.jsonl") + "{\"key\": \"last\"}\n");
  EXPECT_THAT([&] { import_opinionqa(bad, folder / "data", {}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("bad.jsonl:")));
  EXPECT_FALSE(std::filesystem::exists(folder / "data"));
}

TEST(SurveyImport, WritesBothFilesOrNone) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "data" / "validation.jsonl" / "in the way");
  const SurveyPairs pairs = make_survey_pairs(generate_survey({.questions = 70}), {});
  EXPECT_THROW(write_survey_pairs(pairs, folder / "data"), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(folder / "data" / "train.jsonl"));
}

TEST(SurveyImport, NamesAnOutputThatIsAFile) {
  const TempFolder folder;
  const SurveyPairs pairs = make_survey_pairs(generate_survey({.questions = 70}), {});
  const auto file = folder.write("data", "something");
  EXPECT_THAT([&] { write_survey_pairs(pairs, file); }, ThrowsMessage<std::invalid_argument>(HasSubstr(file.string())));
  EXPECT_EQ(read_file(file), "something");
}

TEST(SurveyImport, NeverWritesOverItsSurvey) {
  const TempFolder folder;
  write_opinionqa(folder / "train.jsonl", generate_survey({.questions = 70}));
  std::filesystem::create_symlink(folder / "train.jsonl", folder / "survey.jsonl");
  const std::string survey = read_file(folder / "train.jsonl");
  EXPECT_THAT([&] { import_opinionqa(folder / "survey.jsonl", folder.path(), {}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("train.jsonl: is the file of the survey")));
  EXPECT_EQ(read_file(folder / "train.jsonl"), survey);
}

}  // namespace survey_import_test
}  // namespace equipoise
