#include "client/data/survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace survey_test {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// A line with one field replaced: `field` and `value` as they stand in the file.
std::string line_with(const std::string& field, const std::string& value) {
  std::vector<std::pair<std::string, std::string>> fields = {
      {"key", "\"K1\""},          {"question", "\"Is it good?\""}, {"options", "[\"Yes\", \"No\"]"},
      {"attribute", "\"PARTY\""}, {"group", "\"Left\""},           {"distribution", "[0.75, 0.25]"}};
  std::string line;
  for (auto& [name, text] : fields) {
    if (name == field) text = value;
    if (!text.empty()) line += (line.empty() ? "" : ", ") + ("\"" + name + "\": ") + text;
  }
  return "{" + line + "}\n";
}

void expect_refused(const std::string& content, const std::string& line, const std::string& field,
                    const std::string& found) {
  const TempFolder folder;
  const auto path = folder.write("survey.jsonl", content);
  EXPECT_THAT([&] { read_opinionqa(path); }, ThrowsMessage<std::invalid_argument>(AllOf(
                                                 HasSubstr(path.string() + line), HasSubstr(field), HasSubstr(found))))
      << content;
}

TEST(OpinionqaFile, ReadsAnAnswerALine) {
  const TempFolder folder;
  const Survey survey =
      read_opinionqa(folder.write("survey.jsonl", line_with("", "") + "\n" + line_with("group", "\"Right\"")));
  ASSERT_EQ(survey.questions.size(), 1U);
  EXPECT_EQ(survey.questions[0].text, "Is it good?");
  EXPECT_THAT(survey.questions[0].options, ElementsAre("Yes", "No"));
  ASSERT_EQ(survey.answers.size(), 2U);
  EXPECT_EQ(survey.answers[1].group, "Right");
  EXPECT_THAT(survey.answers[1].shares_O, ElementsAre(0.75, 0.25));
}

// OpinionQA has an item that was asked in five wordings under one key.
TEST(OpinionqaFile, TakesWordingsOfOneKeyAsQuestionsOfTheirOwn) {
  const TempFolder folder;
  const Survey survey =
      read_opinionqa(folder.write("survey.jsonl", line_with("", "") + line_with("question", "\"Is it any good?\"")));
  EXPECT_EQ(survey.questions.size(), 2U);
  EXPECT_EQ(survey.questions[0].key, survey.questions[1].key);
}

TEST(OpinionqaFile, GivesBackWhatWasWritten) {
  const TempFolder folder;
  Survey survey;
  survey.questions.push_back({"K", "Says \"what\"?\tÜber", {"Ja", "Nein"}});
  survey.answers.push_back({0, "A", "G, one", {1.0 / 3, 2.0 / 3}});
  write_opinionqa(folder / "survey.jsonl", survey);
  std::int64_t bytes = 0;
  const Survey read = read_opinionqa(folder / "survey.jsonl", [&bytes](std::int64_t more) { bytes += more; });
  EXPECT_EQ(bytes, static_cast<std::int64_t>(std::filesystem::file_size(folder / "survey.jsonl")));
  EXPECT_EQ(read.questions.at(0).text, survey.questions[0].text);
  EXPECT_EQ(read.answers.at(0).group, "G, one");
  EXPECT_EQ(read.answers.at(0).shares_O, survey.answers[0].shares_O);
}

TEST(OpinionqaFile, NamesTheLineAndTheFieldThatIsMissingOrWrong) {
  const std::string good = line_with("", "");
  for (const char* field : {"key", "question", "options", "attribute", "group", "distribution"}) {
    expect_refused(good + line_with(field, ""), ":2: ", field, "missing");
    expect_refused(good + line_with(field, "7"), ":2: ", field, "expected");
    expect_refused(good + line_with(field, "null"), ":2: ", field, "expected");
  }
  for (const char* field : {"key", "question", "attribute", "group"}) {
    expect_refused(line_with(field, "\"\""), ":1: ", field, "empty");
    expect_refused(line_with(field, "\" \\t\""), ":1: ", field, "empty");
    expect_refused(line_with(field, "\"\\ud800\""), ":1: ", "", "");
  }
}

TEST(OpinionqaFile, NamesWhatIsWrongWithADistribution) {
  expect_refused(line_with("distribution", "[0.5, 0.25, 0.25]"), ":1: ", "distribution", "3 entries, expected 2");
  expect_refused(line_with("distribution", "[1]"), ":1: ", "distribution", "1 entries, expected 2");
  expect_refused(line_with("distribution", "[1.5, -0.5]"), ":1: ", "distribution[1]", "-0.5");
  expect_refused(line_with("distribution", "[0, 0]"), ":1: ", "distribution", "sums to 0");
  expect_refused(line_with("distribution", "[1, \"1\"]"), ":1: ", "distribution[1]", "not a number");
  expect_refused(line_with("distribution", "[1, NaN]"), ":1: ", "", "not JSON");
  expect_refused(line_with("distribution", "[1, 1e999]"), ":1: ", "", "");
  expect_refused(line_with("distribution", "[1e308, 1e308]"), ":1: ", "distribution", "sums to inf");
}

TEST(OpinionqaFile, NamesWhatIsWrongWithTheOptions) {
  expect_refused(line_with("options", "[]"), ":1: ", "options", "0 entries");
  expect_refused(line_with("options", "[\"Yes\", \"Yes\"]"), ":1: ", "options", "twice");
  expect_refused(line_with("options", "[\"Yes\", \" \"]"), ":1: ", "options[1]", "empty");
  std::string many = "[\"0\"";
  for (int i = 1; i < 27; ++i) many += ", \"" + std::to_string(i) + "\"";
  expect_refused(line_with("options", many + "]"), ":1: ", "options", "27 entries");
  expect_refused(line_with("", "") + line_with("options", "[\"No\", \"Yes\"]"), ":2: ", "options", "line 1");
}

TEST(OpinionqaFile, RefusesTwoAnswersOfOneGroup) {
  expect_refused(line_with("", "") + "\n" + line_with("distribution", "[0.5, 0.5]"), ":3: ", "Left", "line 1");
}

TEST(OpinionqaFile, RefusesWhatIsNotLinesOfJson) {
  expect_refused("", ": holds no answers", "", "");
  expect_refused("\n \n", ": holds no answers", "", "");
  expect_refused("[1]\n", ":1: ", "object", "");
  expect_refused("{\"key\": \"a\"", ":1: ", "not JSON", "");
  expect_refused("{\"key\": \"\xff\"}\n", ":1: ", "UTF-8", "");
  expect_refused("{\"key\": \"a\", \"key\": \"b\"}\n", ":1: ", "key", "twice");
  expect_refused(std::string(5000, '[') + "\n", ":1: ", "not JSON", "");
  expect_refused(std::string((1 << 20) + 1, ' ') + "\n", ":1: ", "longer", "");
}

TEST(OpinionqaFile, NamesAFileThatIsNotThere) {
  EXPECT_THAT([] { read_opinionqa("no/such/file.jsonl"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("no/such/file.jsonl")));
}

}  // namespace survey_test
}  // namespace equipoise
