#include "client/data/survey_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

namespace equipoise {
namespace survey_pairs_test {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// `count` questions of three options with the groups' top answer at `top(group, question)`.
template <typename Top>
Survey survey_of(std::size_t count, const std::vector<std::string>& groups, Top top) {
  Survey survey;
  for (std::size_t q = 0; q < count; ++q) {
    survey.questions.push_back({"K" + std::to_string(q), "Question " + std::to_string(q) + "?", {"x", "y", "z"}});
    for (const std::string& group : groups) {
      std::vector<double> shares(3, 0.2);
      shares.at(top(group, q)) = 0.6;
      survey.answers.push_back({q, "AREA", group, shares});
    }
  }
  return survey;
}

std::size_t first_option(const std::string&, std::size_t) { return 0; }

std::vector<PreferencePair> all_pairs(const SurveyPairs& pairs) {
  std::vector<PreferencePair> all = pairs.train.pairs;
  all.insert(all.end(), pairs.validation.pairs.begin(), pairs.validation.pairs.end());
  return all;
}

std::set<std::string> prompts_of(const PreferenceData& data, std::uint32_t group) {
  std::set<std::string> prompts;
  for (const PreferencePair& pair : data.pairs) {
    if (pair.memberships.at(0).group == group) prompts.insert(pair.prompt);
  }
  return prompts;
}

TEST(SurveyPairs, WriteThePromptOfThePaper) {
  const SurveyQuestion question = {"K", "Is it better or worse?", {"Better", "Worse", "About the same"}};
  EXPECT_EQ(survey_prompt(question, "Nigeria", GroupInPrompt::kNamed),
            "Opinion of people in Nigeria on: Is it better or worse?\nPlease select the best response:\nA. Better\nB. "
            "Worse\nC. About the same");
  EXPECT_THAT(survey_prompt(question, "Nigeria", GroupInPrompt::kOmitted),
              testing::StartsWith("Opinion of people on: Is it"));
}

TEST(SurveyPairs, ChooseTheMostVotedOptionAndRejectAnother) {
  const Survey survey = survey_of(60, {"a"}, [](const auto&, std::size_t q) { return q % 3; });
  const SurveyPairs pairs = make_survey_pairs(survey, {});
  std::map<std::string, int> rejected;
  for (const PreferencePair& pair : all_pairs(pairs)) {
    const std::size_t question = std::stoul(pair.prompt.substr(pair.prompt.find("Question ") + 9));
    EXPECT_EQ(pair.chosen, std::string(1, static_cast<char>('A' + question % 3)));
    EXPECT_NE(pair.rejected, pair.chosen);
    ++rejected[pair.rejected];
  }
  EXPECT_EQ(rejected.size(), 3U) << "every letter is rejected somewhere";
}

TEST(SurveyPairs, SplitEachGroupByTheTrainFraction) {
  const SurveyPairs pairs = make_survey_pairs(survey_of(50, {"a", "b"}, first_option), {.train_fraction = 0.7});
  for (const SurveyGroupSummary& group : pairs.groups) {
    EXPECT_EQ(group.train_pairs, 35U);
    EXPECT_EQ(group.validation_pairs, 15U);
    EXPECT_EQ(group.questions, 50U);
  }
  EXPECT_EQ(pairs.train.pairs.size(), 70U);
  EXPECT_EQ(pairs.train.group_names, pairs.validation.group_names);
}

TEST(SurveyPairs, PutNoPromptIntoBothFiles) {
  const SurveyPairs pairs = make_survey_pairs(survey_of(40, {"a", "b"}, first_option), {.pairs_per_question = 2});
  for (const std::uint32_t group : {0U, 1U}) {
    const auto train = prompts_of(pairs.train, group);
    for (const std::string& prompt : prompts_of(pairs.validation, group)) EXPECT_FALSE(train.contains(prompt));
  }
}

TEST(SurveyPairs, HoldOutOtherQuestionsForOtherGroups) {
  const SurveyPairs pairs =
      make_survey_pairs(survey_of(40, {"a", "b"}, first_option), {.group_in_prompt = GroupInPrompt::kOmitted});
  EXPECT_NE(prompts_of(pairs.validation, 0), prompts_of(pairs.validation, 1));
}

TEST(SurveyPairs, KeepAWholeItemTogetherWhenSplitByQuestion) {
  Survey survey = survey_of(30, {"a", "b"}, first_option);
  for (std::size_t q = 0; q < survey.questions.size(); q += 2) survey.questions[q].key = survey.questions[q + 1].key;
  const SurveyPairs pairs =
      make_survey_pairs(survey, {.split = SurveySplit::kByQuestion, .group_in_prompt = GroupInPrompt::kOmitted});
  EXPECT_EQ(pairs.train.pairs.size(), 48U) << "12 of 15 items, 2 wordings, 2 groups";
  const auto train_a = prompts_of(pairs.train, 0);
  EXPECT_EQ(train_a, prompts_of(pairs.train, 1));
  for (std::size_t q = 0; q < survey.questions.size(); q += 2) {
    const auto prompt = [&](std::size_t i) { return survey_prompt(survey.questions[i], "", GroupInPrompt::kOmitted); };
    EXPECT_EQ(train_a.contains(prompt(q)), train_a.contains(prompt(q + 1)));
  }
}

TEST(SurveyPairs, GiveEachQuestionAsManyDifferentRejectedAnswersAsThereAre) {
  const SurveyPairs pairs = make_survey_pairs(survey_of(10, {"a"}, first_option), {.pairs_per_question = 5});
  ASSERT_EQ(pairs.train.pairs.size(), 16U) << "8 questions, 2 other options";
  for (std::size_t i = 0; i < pairs.train.pairs.size(); i += 2) {
    EXPECT_EQ(pairs.train.pairs[i].prompt, pairs.train.pairs[i + 1].prompt);
    EXPECT_NE(pairs.train.pairs[i].rejected, pairs.train.pairs[i + 1].rejected);
  }
}

SurveyPairOptions sampled(std::size_t draws) { return {.labels = SurveyLabels::kSampled, .draws = draws}; }

std::size_t option_of(const std::string& letter) { return static_cast<std::size_t>(letter.at(0) - 'A'); }

TEST(SurveyPairs, SampledLabelsDisagreeAsThePeopleDo) {
  Survey survey = survey_of(20, {"a"}, first_option);
  for (SurveyAnswer& answer : survey.answers) answer.shares_O = {0.3, 0.1, 0.6};
  constexpr std::size_t kDraws = 500;
  std::map<std::string, double> chosen;
  const SurveyPairs pairs = make_survey_pairs(survey, sampled(kDraws));
  const double all = static_cast<double>(all_pairs(pairs).size());
  EXPECT_EQ(all, 20 * kDraws);
  std::map<std::string, std::pair<double, double>> first_of_two;  // by letters: how often, and how often the first won
  for (const PreferencePair& pair : all_pairs(pairs)) {
    ++chosen[pair.chosen];
    const double winner = survey.answers[0].shares_O[option_of(pair.chosen)];
    const double loser = survey.answers[0].shares_O[option_of(pair.rejected)];
    EXPECT_DOUBLE_EQ(pair.chosen_share, winner / (winner + loser));
    auto& [count, won] = first_of_two[std::min(pair.chosen, pair.rejected) + std::max(pair.chosen, pair.rejected)];
    ++count;
    won += pair.chosen < pair.rejected ? 1 : 0;
  }
  const double error = 5 * 0.5 / std::sqrt(all);  // five standard errors
  EXPECT_NEAR(chosen["A"] / all, 0.3, error);
  EXPECT_NEAR(chosen["B"] / all, 0.1, error);
  EXPECT_NEAR(chosen["C"] / all, 0.6, error);
  // chosen_share is the probability of the order of a pair's two.
  for (const auto& [letters, share] : std::map<std::string, double>{{"AB", 0.75}, {"AC", 1.0 / 3}, {"BC", 1.0 / 7}}) {
    const auto& [count, won] = first_of_two[letters];
    EXPECT_NEAR(won / count, share, 5 * 0.5 / std::sqrt(count)) << letters;
  }
}

TEST(SurveyPairs, SampledLabelsNeedNoMajorityButTwoOptionsAndVotes) {
  Survey survey = survey_of(10, {"a"}, first_option);
  survey.answers[3].shares_O = {0.5, 0.5, 0};
  const SurveyPairs majority = make_survey_pairs(survey, {}), drawn = make_survey_pairs(survey, sampled(50));
  EXPECT_EQ(majority.groups[0].without_top, 1U);
  EXPECT_EQ(drawn.groups[0].without_top, 0U);
  EXPECT_EQ(all_pairs(drawn).size(), 500U);
  for (const PreferencePair& pair : all_pairs(drawn)) {
    if (pair.prompt.find("Question 3?") == std::string::npos) continue;
    EXPECT_NE(pair.chosen, "C") << "nobody took it";
    EXPECT_EQ(pair.chosen_share, pair.rejected == "C" ? 1 : 0.5);
  }
  for (const PreferencePair& pair : all_pairs(majority)) EXPECT_EQ(pair.chosen_share, 1);
}

TEST(SurveyPairs, PutNoQuestionsDrawsIntoBothFiles) {
  const SurveyPairs pairs = make_survey_pairs(survey_of(40, {"a"}, first_option), sampled(3));
  EXPECT_EQ(pairs.train.pairs.size(), 96U);
  const auto train = prompts_of(pairs.train, 0);
  for (const std::string& prompt : prompts_of(pairs.validation, 0)) EXPECT_FALSE(train.contains(prompt));
}

bool same(const SurveyPairs& a, const SurveyPairs& b) {
  const auto text = [](const SurveyPairs& pairs) {
    std::string all;
    for (const auto& pair : all_pairs(pairs)) all += pair.prompt + pair.chosen + pair.rejected + "\n";
    return all;
  };
  return text(a) == text(b);
}

TEST(SurveyPairs, FollowFromTheSeed) {
  const Survey survey = survey_of(40, {"a", "b"}, first_option);
  EXPECT_TRUE(same(make_survey_pairs(survey, {.seed = 3}), make_survey_pairs(survey, {.seed = 3})));
  EXPECT_FALSE(same(make_survey_pairs(survey, {.seed = 3}), make_survey_pairs(survey, {.seed = 4})));
}

TEST(SurveyPairs, OfAGroupDoNotDependOnTheOtherGroups) {
  const Survey survey = survey_of(40, {"a", "b"}, first_option);
  const auto both = make_survey_pairs(survey, {});
  const auto alone = make_survey_pairs(survey, {.groups = {"b"}});
  EXPECT_EQ(prompts_of(both.train, 1), prompts_of(alone.train, 0));
}

TEST(SurveyPairs, LeaveOutEverybodyUnlessAskedFor) {
  const Survey survey = survey_of(10, {"Overall", "a"}, first_option);
  EXPECT_THAT(make_survey_pairs(survey, {}).train.group_names, ElementsAre("a"));
  EXPECT_THAT(make_survey_pairs(survey, {.groups = {"Overall"}}).train.group_names, ElementsAre("Overall"));
}

TEST(SurveyPairs, CompareTopAnswersWithEverybodys) {
  // Group a leaves the overall answer on the 4 questions of 12 that 3 divides.
  const Survey survey = survey_of(12, {"Overall", "a", "b"}, [](const std::string& group, std::size_t q) {
    return group == "a" && q % 3 == 0 ? 1U : 0U;
  });
  const SurveyPairs pairs = make_survey_pairs(survey, {});
  EXPECT_DOUBLE_EQ(pairs.groups[0].differing_share(), 4.0 / 12);
  EXPECT_DOUBLE_EQ(pairs.groups[1].differing_share(), 0);
}

TEST(SurveyPairs, TakeTheMeanOfTheGroupsWhereEverybodyWasNotAsked) {
  const Survey survey =
      survey_of(10, {"a", "b", "c"}, [](const std::string& group, std::size_t) { return group == "c" ? 2U : 1U; });
  const SurveyPairs pairs = make_survey_pairs(survey, {});
  EXPECT_DOUBLE_EQ(pairs.groups[0].differing_share(), 0);
  EXPECT_DOUBLE_EQ(pairs.groups[2].differing_share(), 1);
}

TEST(SurveyPairs, LeaveOutTiesAndSingleOptions) {
  Survey survey = survey_of(10, {"a"}, first_option);
  survey.answers[0].shares_O = {0.4, 0.4, 0.2};
  survey.questions[1].options = {"x"};
  survey.answers[1].shares_O = {1};
  const SurveyPairs pairs = make_survey_pairs(survey, {});
  EXPECT_EQ(pairs.groups[0].questions, 8U);
  EXPECT_EQ(pairs.groups[0].without_top, 2U);
  EXPECT_EQ(all_pairs(pairs).size(), 8U);
}

TEST(SurveyPairs, RefuseOptionsOutOfRange) {
  const Survey survey = survey_of(10, {"a", "b"}, first_option);
  const auto expect = [&](const SurveyPairOptions& options, const std::string& why) {
    EXPECT_THAT([&] { make_survey_pairs(survey, options); }, ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
  };
  expect({.train_fraction = 1}, "train_fraction is 1");
  expect({.train_fraction = 0}, "train_fraction is 0");
  expect({.train_fraction = std::numeric_limits<double>::quiet_NaN()}, "train_fraction is nan");
  expect({.groups = {"A"}}, "\"A\" is not in the survey, expected one of: a, b");
  expect({.pairs_per_question = 0}, "pairs_per_question");
  expect({.draws = 0}, "draws is 0");
  expect({.draws = 2}, "draws is 2, expected 1 with the majority's labels");
  expect({.pairs_per_question = 2, .labels = SurveyLabels::kSampled},
         "pairs_per_question is 2, expected 1 with sampled");
}

TEST(SurveyPairs, RefuseAGroupThatOneFileWouldNotHave) {
  Survey survey = survey_of(10, {"a"}, first_option);
  survey.answers.push_back({0, "AREA", "tiny", {0.6, 0.2, 0.2}});
  EXPECT_THAT([&] { make_survey_pairs(survey, {}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("\"tiny\" has 1 questions")));
  EXPECT_NO_THROW(make_survey_pairs(survey, {.groups = {"a"}}));
}

}  // namespace survey_pairs_test
}  // namespace equipoise
