#include "client/data/survey_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "client/data/survey_pairs.h"
#include "tests/support/temp_folder.h"

namespace equipoise {
namespace survey_generator_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

std::size_t top(const SurveyAnswer& answer) {
  return static_cast<std::size_t>(std::max_element(answer.shares_O.begin(), answer.shares_O.end()) -
                                  answer.shares_O.begin());
}

// Top answers: group -> question -> option.
std::map<std::string, std::map<std::size_t, std::size_t>> tops_of(const Survey& survey) {
  std::map<std::string, std::map<std::size_t, std::size_t>> tops;
  for (const SurveyAnswer& answer : survey.answers) tops[answer.group][answer.question] = top(answer);
  return tops;
}

class GeneratedSurvey : public testing::TestWithParam<std::uint64_t> {
 protected:
  Survey survey_ = generate_survey({.seed = GetParam()});
};

TEST_P(GeneratedSurvey, AsksDifferentQuestionsWithReadableOptions) {
  std::set<std::string> texts, keys;
  for (const SurveyQuestion& question : survey_.questions) {
    texts.insert(question.text);
    keys.insert(question.key);
    EXPECT_EQ(question.text.back(), '?');
    EXPECT_EQ(question.text.find("{}"), std::string::npos);
    EXPECT_GE(question.options.size(), 2U);
  }
  EXPECT_EQ(texts.size(), 1176U);
  EXPECT_EQ(keys.size(), 1176U);
}

TEST_P(GeneratedSurvey, AsksGroupsUnequally) {
  auto tops = tops_of(survey_);
  ASSERT_EQ(tops.size(), 5U);
  EXPECT_EQ(tops["Overall"].size(), 1176U);
  EXPECT_EQ(tops["Riverside"].size(), 1176U);
  EXPECT_EQ(tops["Northfield"].size(), 938U) << "80 % of 168 questions on each of 7 themes, rounded";
  EXPECT_EQ(tops["Old Harbor"].size(), 588U) << "50 %";
  EXPECT_EQ(tops["Hillcrest"].size(), 455U) << "95 % of 168 on each of 2 themes, 16 % on each of 5, rounded";
}

// Questions of each theme that both groups were asked, and how many of them have another top answer.
struct Agreement {
  int common = 0, differing = 0;
};
std::map<std::string, Agreement> agreement_by_theme(const Survey& survey, const std::string& a, const std::string& b) {
  auto tops = tops_of(survey);
  std::map<std::string, Agreement> agreement;
  for (const auto& [question, option] : tops[a]) {
    if (!tops[b].contains(question)) continue;
    const std::string& key = survey.questions[question].key;
    Agreement& theme = agreement[key.substr(0, key.find('_'))];
    ++theme.common;
    if (tops[b][question] != option) ++theme.differing;
  }
  return agreement;
}

TEST_P(GeneratedSurvey, HasAMinorityThatTakesTheOtherSideOnEveryQuestionOfTwoThemesAndOnNoOther) {
  for (const char* const majority : {"Riverside", "Northfield", "Old Harbor", "Overall"}) {
    int contested = 0;
    for (const auto& [theme, agreement] : agreement_by_theme(survey_, majority, "Hillcrest")) {
      if (agreement.differing > 0) ++contested;
      EXPECT_TRUE(agreement.differing == 0 || agreement.differing == agreement.common) << majority << " " << theme;
    }
    EXPECT_EQ(contested, 2) << majority;
  }
}

TEST_P(GeneratedSurvey, HasAMajorityOfOneMind) {
  for (const char* const other : {"Northfield", "Old Harbor", "Overall"}) {
    for (const auto& [theme, agreement] : agreement_by_theme(survey_, "Riverside", other)) {
      EXPECT_GT(agreement.common, 0);
      EXPECT_EQ(agreement.differing, 0) << other << " " << theme;
    }
  }
}

// 2 of 7 themes are contested: 336 questions, of which the groups of the majority were asked all, 268 and 168.
TEST_P(GeneratedSurvey, HasTheMajoritysSayOnWhatIsContestedAndAMinorityThatWasAskedLittleElse) {
  const SurveyPairs pairs = make_survey_pairs(survey_, {});
  std::size_t majority = 0;
  for (const auto& [theme, agreement] : agreement_by_theme(survey_, "Riverside", "Hillcrest")) {
    if (agreement.differing == 0) continue;
    for (const SurveyAnswer& answer : survey_.answers) {
      if (answer.group == "Overall" || answer.group == "Hillcrest") continue;
      if (survey_.questions[answer.question].key.starts_with(theme + "_")) ++majority;
    }
  }
  EXPECT_EQ(majority, 336U + 268U + 168U);
  for (const SurveyGroupSummary& group : pairs.groups) {
    EXPECT_EQ(group.without_top, 0U);
    EXPECT_EQ(group.differing, group.group == "Hillcrest" ? 320U : 0U) << group.group;
  }
  EXPECT_GT(majority, 2 * 320U);
  EXPECT_GT(320.0 / 455, 2 * 336.0 / 1176) << "contested shares of Hillcrest's questions and of Riverside's";
}

TEST_P(GeneratedSurvey, AsksMostQuestionsWithTwoOptionsSoThatOppositeAnswersAreOppositePairs) {
  const auto two = std::count_if(survey_.questions.begin(), survey_.questions.end(),
                                 [](const SurveyQuestion& question) { return question.options.size() == 2; });
  EXPECT_EQ(two, 1176 * 11 / 14);
}

// As `make demo` imports it, for any split.
TEST_P(GeneratedSurvey, LeavesTheSmallestGroup150ValidationPairsAndMore) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const SurveyPairs pairs = make_survey_pairs(survey_, {.seed = seed,
                                                          .train_fraction = 0.6,
                                                          .split = SurveySplit::kByQuestion,
                                                          .group_in_prompt = GroupInPrompt::kOmitted});
    for (const SurveyGroupSummary& group : pairs.groups) {
      EXPECT_GE(group.validation_pairs, 150U) << group.group << ", seed " << seed;
    }
  }
}

// The most frequent letter of (group, theme, options) in the training pairs foretells the validation pairs' half of the
// scale: what a group thinks of one topic tells what it thinks of another.
TEST_P(GeneratedSurvey, CanBeLearntFromTheThemes) {
  using Rule = std::map<std::string, std::map<bool, int>>;
  Rule rule;
  const auto know = [&](const SurveyAnswer& answer) {
    const SurveyQuestion& question = survey_.questions[answer.question];
    return answer.group + question.key.substr(0, question.key.find('_')) + question.options.front();
  };
  const auto in_first_half = [](const SurveyAnswer& answer) { return 2 * top(answer) + 1 < answer.shares_O.size(); };
  for (const SurveyAnswer& answer : survey_.answers) {
    if (answer.question % 5 != 0) ++rule[know(answer)][in_first_half(answer)];
  }
  int seen = 0, right = 0;
  for (const SurveyAnswer& answer : survey_.answers) {
    if (answer.question % 5 != 0 || answer.group == "Overall" || !rule.contains(know(answer))) continue;
    auto& votes = rule[know(answer)];
    ++seen;
    if (in_first_half(answer) == (votes[true] > votes[false])) ++right;
  }
  ASSERT_GT(seen, 100);
  EXPECT_EQ(right, seen);
}

TEST_P(GeneratedSurvey, HasNoLetterThatIsAlwaysRight) {
  std::map<std::size_t, int> letters;
  for (const SurveyAnswer& answer : survey_.answers) ++letters[top(answer)];
  for (const auto& [option, count] : letters)
    EXPECT_LT(count, static_cast<int>(survey_.answers.size() * 3 / 5)) << option;
}

INSTANTIATE_TEST_SUITE_P(Seeds, GeneratedSurvey, testing::Values(1, 2, 3, 20240605));

TEST(SurveyGenerator, GivesTheSameBytesForTheSameSeed) {
  const TempFolder folder;
  write_opinionqa(folder / "a", generate_survey({.seed = 5}));
  write_opinionqa(folder / "b", generate_survey({.seed = 5}));
  write_opinionqa(folder / "c", generate_survey({.seed = 6}));
  EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b"));
  EXPECT_NE(read_file(folder / "a"), read_file(folder / "c"));
}

TEST(SurveyGenerator, WritesWhatTheImportReads) {
  const TempFolder folder;
  const Survey survey = generate_survey({.groups = 2});
  write_opinionqa(folder / "survey.jsonl", survey);
  const Survey read = read_opinionqa(folder / "survey.jsonl");
  ASSERT_EQ(read.answers.size(), survey.answers.size());
  for (std::size_t i = 0; i < survey.answers.size(); ++i) {
    EXPECT_EQ(read.answers[i].group, survey.answers[i].group);
    EXPECT_EQ(read.answers[i].shares_O, survey.answers[i].shares_O);
  }
}

TEST(SurveyGenerator, KeepsTheMinorityWithFewerGroups) {
  for (const std::size_t groups : {2U, 3U}) {
    const auto tops = tops_of(generate_survey({.questions = 70, .groups = groups}));
    EXPECT_EQ(tops.size(), groups + 1);
    EXPECT_TRUE(tops.contains("Riverside") && tops.contains("Hillcrest"));
  }
}

TEST(SurveyGenerator, GivesEveryGroupPairsInBothFilesHoweverFewTheQuestionsAre) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(make_survey_pairs(generate_survey({.seed = seed, .questions = 70}), {.seed = seed}).groups.size(), 4U);
  }
}

TEST(SurveyGenerator, DividesTheSmallestGroupsAndLeavesTheOthersAsTheyAre) {
  const Survey plain = generate_survey({.questions = 140}), divided = generate_survey({.questions = 140, .divided = 1});
  ASSERT_EQ(divided.answers.size(), plain.answers.size());
  for (std::size_t i = 0; i < plain.answers.size(); ++i) {
    const SurveyAnswer& answer = divided.answers[i];
    if (answer.group == "Overall") continue;
    if (answer.group == "Hillcrest") {
      for (const double share : answer.shares_O) EXPECT_EQ(share, answer.shares_O.front());
    } else {
      EXPECT_EQ(answer.shares_O, plain.answers[i].shares_O);
    }
  }
  const SurveyPairs pairs =
      make_survey_pairs(divided, {.groups = {"Hillcrest"}, .labels = SurveyLabels::kSampled, .draws = 3});
  for (const PreferencePair& pair : pairs.train.pairs) EXPECT_EQ(pair.chosen_share, 0.5);
}

TEST(SurveyGenerator, RefusesOptionsOutOfRange) {
  EXPECT_THAT([] { generate_survey({.questions = 69}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("69")));
  EXPECT_THAT([] { generate_survey({.questions = 1177}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("1177")));
  EXPECT_THAT([] { generate_survey({.groups = 1}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("groups is 1")));
  EXPECT_THAT([] { generate_survey({.groups = 5}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("groups is 5")));
  EXPECT_THAT([] { generate_survey({.groups = 2, .divided = 2}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("divided is 2")));
}

}  // namespace survey_generator_test
}  // namespace equipoise
