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
namespace {

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
  EXPECT_EQ(texts.size(), 420U);
  EXPECT_EQ(keys.size(), 420U);
}

TEST_P(GeneratedSurvey, AsksGroupsUnequally) {
  auto tops = tops_of(survey_);
  ASSERT_EQ(tops.size(), 5U);
  EXPECT_EQ(tops["Overall"].size(), 420U);
  EXPECT_EQ(tops["Riverside"].size(), 420U);
  EXPECT_EQ(tops["Northfield"].size(), 252U) << "60 %";
  EXPECT_EQ(tops["Old Harbor"].size(), 126U) << "30 %";
  EXPECT_EQ(tops["Hillcrest"].size(), 63U) << "15 %";
}

TEST_P(GeneratedSurvey, HasAnyTwoGroupsDisagreeOnAQuarterToUnderAHalf) {
  auto tops = tops_of(survey_);
  tops.erase("Overall");
  for (auto a = tops.begin(); a != tops.end(); ++a) {
    for (auto b = std::next(a); b != tops.end(); ++b) {
      int common = 0, differing = 0;
      for (const auto& [question, option] : a->second) {
        if (!b->second.contains(question)) continue;
        ++common;
        if (b->second[question] != option) ++differing;
      }
      // 2 of 7 themes; few questions are common to two small groups, so the share scatters around 0.29.
      ASSERT_GT(common, 0);
      const double deviation = std::sqrt(2.0 / 7 * 5.0 / 7 / common);
      EXPECT_NEAR(static_cast<double>(differing) / common, 2.0 / 7, 4 * deviation) << a->first << " " << b->first;
    }
  }
}

TEST_P(GeneratedSurvey, HasSmallGroupsThatAverageTrainingWouldNeglect) {
  const SurveyPairs pairs = make_survey_pairs(survey_, {});
  for (const SurveyGroupSummary& group : pairs.groups) {
    EXPECT_EQ(group.without_top, 0U);
    if (group.group == "Riverside") {
      EXPECT_LT(group.differing_share(), 0.05) << "most people live there";
    } else {
      EXPECT_GE(group.differing_share(), 0.25) << group.group;
      EXPECT_LE(group.differing_share(), 0.45) << group.group;
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
  for (const auto& [option, count] : letters) EXPECT_LT(count, static_cast<int>(survey_.answers.size() / 2)) << option;
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
  const Survey survey = generate_survey({.questions = 504, .groups = 2});
  write_opinionqa(folder / "survey.jsonl", survey);
  const Survey read = read_opinionqa(folder / "survey.jsonl");
  ASSERT_EQ(read.answers.size(), survey.answers.size());
  for (std::size_t i = 0; i < survey.answers.size(); ++i) {
    EXPECT_EQ(read.answers[i].group, survey.answers[i].group);
    EXPECT_EQ(read.answers[i].shares_O, survey.answers[i].shares_O);
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
  EXPECT_THAT([] { generate_survey({.questions = 505}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("505")));
  EXPECT_THAT([] { generate_survey({.groups = 1}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("groups is 1")));
  EXPECT_THAT([] { generate_survey({.groups = 5}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("groups is 5")));
  EXPECT_THAT([] { generate_survey({.groups = 2, .divided = 2}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("divided is 2")));
}

}  // namespace
}  // namespace equipoise
