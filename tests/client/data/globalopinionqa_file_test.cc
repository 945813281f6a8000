#include "client/data/globalopinionqa_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "client/data/survey_pairs.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace globalopinionqa_file_test {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr const char* kHead = "question,selections,options,source\n";

GlobalOpinions read(const std::string& rows) {
  const TempFolder folder;
  return read_globalopinionqa(folder.write("survey.csv", kHead + rows));
}

void expect_refused(const std::string& content, const std::string& line, const std::string& what) {
  const TempFolder folder;
  const auto path = folder.write("survey.csv", content);
  EXPECT_THAT([&] { read_globalopinionqa(path); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr(path.string() + line), HasSubstr(what))))
      << content;
}

TEST(GlobalOpinionqaFile, ReadsAQuestionARecord) {
  const GlobalOpinions opinions =
      read("Is it?,\"defaultdict(<class 'list'>, {'India': [0.25, 0.75], 'Japan': [1, 0]})\",\"['Yes', 'No']\",GAS\n");
  ASSERT_EQ(opinions.survey.questions.size(), 1U);
  EXPECT_EQ(opinions.survey.questions[0].text, "Is it?");
  EXPECT_THAT(opinions.survey.questions[0].options, ElementsAre("Yes", "No"));
  ASSERT_EQ(opinions.survey.answers.size(), 2U);
  EXPECT_EQ(opinions.survey.answers[1].group, "Japan");
  EXPECT_THAT(opinions.survey.answers[0].shares_O, ElementsAre(0.25, 0.75));
}

TEST(GlobalOpinionqaFile, TakesTheSameQuestionInSeveralRecordsAsOneItem) {
  const std::string row = "Is it?,\"{'India': [1, 2]}\",\"['Yes', 'No']\",GAS\n";
  const GlobalOpinions opinions = read(row + row);
  ASSERT_EQ(opinions.survey.questions.size(), 2U);
  EXPECT_EQ(opinions.survey.questions[0].key, opinions.survey.questions[1].key);
  EXPECT_EQ(opinions.survey.answers[1].question, 1U);
}

TEST(GlobalOpinionqaFile, LeavesOutAndCountsWhatSaysNothing) {
  std::string many = "[0";
  for (int option = 1; option <= 26; ++option) many += ", " + std::to_string(option);
  const GlobalOpinions opinions = read(
      "Is it?,\"{'India': [1, 0], 'Chad': [0, 0], 'Peru': [], 'Fiji': None}\",\"['Yes', 'No']\",GAS\n"
      ",{},\"['Yes', 'No']\",GAS\nWhat?,{},,GAS\nWhat?,{},[],GAS\nWhich?,{},\"" +
      many + "]\",GAS\n");
  EXPECT_EQ(opinions.survey.questions.size(), 1U);
  EXPECT_EQ(opinions.survey.answers.size(), 1U);
  EXPECT_EQ(opinions.answers_without_shares, 3U);
  EXPECT_EQ(opinions.rows_without_question, 3U);
  EXPECT_EQ(opinions.rows_with_many_options, 1U);
}

TEST(GlobalOpinionqaFile, SaysWhichColumnOfWhichLineIsWrong) {
  const std::string head = kHead;
  const std::string tail = "\"['Yes', 'No']\",GAS\n";
  expect_refused("", "", "is empty");
  expect_refused(head, "", "holds no answers");
  expect_refused("question,options\n", ":1: ", "\"selections\" 0 times");
  expect_refused("question,question,selections,options\n", ":1: ", "\"question\" 2 times");
  expect_refused(head + "\"a\nb\",{},[]\n", ":2: ", "3 fields, expected 4");
  expect_refused(head + "\"a\nb\",{}," + tail + "What?,{},[1,GAS\n", ":4: ", "column \"options\" has its end");
  expect_refused(head + "What?,,\"['a', ' ']\",GAS\n", ":2: ", "column \"options\" has an empty option, number 2");
  expect_refused(head + "What?,{'India': oops}," + tail, ":2: ", "column \"selections\" has \"oops");
  expect_refused(head + "What?,{'India': [1]}," + tail, ":2: ", "has 1 shares for \"India\", expected 2");
  expect_refused(head + "What?,\"{'India': [2, -1]}\"," + tail, ":2: ", "has the share -1 for \"India\"");
  expect_refused(head + "What?,\"{'India': [1e308, 1e308]}\"," + tail, ":2: ", "sum is not finite");
  expect_refused(head + "What?,\"{'': [1, 2]}\"," + tail, ":2: ", "empty key");
}

// The file was written by Python's csv module and repr(): commas, quotes, line ends, accents and numbers as options.
TEST(GlobalOpinionqaFile, ReadsWhatPythonWrote) {
  const GlobalOpinions opinions = read_globalopinionqa("golden/surveys/global_opinions.csv");
  EXPECT_EQ(opinions.survey.questions.size(), 45U);
  EXPECT_EQ(opinions.rows_without_question, 1U);
  EXPECT_EQ(opinions.answers_without_shares, 3U);  // "Côte d'Ivoire", of which the survey knows nothing else
  std::vector<std::string> texts;
  for (const SurveyQuestion& question : opinions.survey.questions) texts.push_back(question.text);
  EXPECT_THAT(texts, Contains("Thinking of the new ferry, do you...\n\nagree or disagree that \"more is better\"?"));
  EXPECT_THAT(opinions.survey.questions[1].options, ElementsAre("Agree", "Disagree", "Don't know"));
  EXPECT_THAT(opinions.survey.questions[2].options,
              ElementsAre("Never justifiable", "2", "3", "4", "Always justifiable"));
  EXPECT_THAT(opinions.survey.answers[0].shares_O, ElementsAre(0.6166, 0.0502, 0.1468, 0.0678, 0.1185));
}

TEST(GlobalOpinionqaFile, HasTheGroupsOfThePaper) {
  const GlobalOpinions opinions = read_globalopinionqa("golden/surveys/global_opinions.csv");
  const SurveyPairs pairs =
      make_survey_pairs(opinions.survey, {.groups = {kPaperCountries.begin(), kPaperCountries.end()}});
  const std::set<std::string> groups(pairs.train.group_names.begin(), pairs.train.group_names.end());
  EXPECT_EQ(groups, std::set<std::string>(kPaperCountries.begin(), kPaperCountries.end()));
  EXPECT_THAT(pairs.train.pairs[0].prompt, HasSubstr("Opinion of people in Nigeria on: Would you say that"));
}

}  // namespace globalopinionqa_file_test
}  // namespace equipoise
