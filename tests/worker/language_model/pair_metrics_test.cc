#include "worker/language_model/pair_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "worker/training/metrics_file.h"

namespace equipoise {
namespace pair_metrics_test {

const std::vector<std::string> kNames = {"a", "b"};
const GroupedData kData{.group_names = kNames, .counted = {}, .population = {}, .validation_names = kNames};

MetricsJson evaluated(const BatchSums& sums, const PairMetrics& metrics = {}, const std::string& file = "") {
  return evaluation_line(kData, {}, validation_means(metrics, sums, kNames, file), std::vector<double>{0.5, 0.5});
}

BatchSums two_groups(double first_loss, double second_loss) {
  BatchSums sums(2);
  sums.add({.loss = first_loss, .chosen_reward = 1, .rejected_reward = 0}, std::vector<Membership>{{0, 1.0}});
  sums.add({.loss = second_loss, .chosen_reward = 0, .rejected_reward = 1}, std::vector<Membership>{{1, 1.0}});
  return sums;
}

TEST(PairMetrics, NameTheWorstGroupAndTheLowestAccuracy) {
  const MetricsJson line = evaluated(two_groups(0.5, 0.75));
  EXPECT_EQ(line["worst_group"], "b");
  EXPECT_EQ(line["worst_group_loss"], 0.75);
  EXPECT_EQ(line["min_group_accuracy"], 0);
  EXPECT_EQ(line["eval_group/a/accuracy"], 1);
}

TEST(PairMetrics, HaveTheSftTermWhereThereIsOne) {
  BatchSums sums(2);
  sums.add({.loss = 1, .nll = 3}, std::vector<Membership>{{0, 1.0}});
  sums.add({.loss = 1, .nll = 1}, std::vector<Membership>{{0, 0.5}, {1, 0.5}});
  const MetricsJson line = evaluated(sums, {.has_nll = true});
  EXPECT_EQ(line["eval_nll_loss"], 2);
  EXPECT_EQ(line["group_nll_loss"]["a"], 3.5 / 1.5);
  EXPECT_EQ(line["group_nll_loss"]["b"], 1);
  EXPECT_FALSE(evaluated(sums).contains("eval_nll_loss"));
}

TEST(PairMetrics, LeaveAbsentGroupsOut) {
  BatchSums sums(2);
  sums.add({.loss = 1}, std::vector<Membership>{{0, 1.0}});
  const MetricsJson line = evaluated(sums);
  for (const char* field : {"group_loss", "group_count", "group_accuracy", "group_logps/chosen"}) {
    EXPECT_TRUE(line[field].contains("a")) << field;
    EXPECT_FALSE(line[field].contains("b")) << field;
  }
  EXPECT_FALSE(line.contains("eval_group/b/loss"));
}

TEST(PairMetrics, NameAGroupWhoseLossIsNoNumberAsTheWorstEvenBesideInfinity) {
  BatchSums sums(2);
  sums.add({.loss = HUGE_VAL}, std::vector<Membership>{{0, 1.0}});
  sums.add({.loss = std::nan("")}, std::vector<Membership>{{1, 1.0}});
  const MetricsJson line = evaluated(sums);
  EXPECT_EQ(line["worst_group"], "b");
  EXPECT_TRUE(std::isnan(line["worst_group_loss"].get<double>()));
}

TEST(PairMetrics, HaveNoAccuracyWhereNothingIsCompared) {
  const std::string text = evaluated(two_groups(1, 2), {.has_rewards = false}).dump();
  EXPECT_EQ(text.find("accurac"), std::string::npos) << text;
  EXPECT_EQ(text.find("rewards"), std::string::npos) << text;
}

// Three pairs, two of "a", with rewards, tokens and errors.
BatchSums three_pairs() {
  BatchSums sums(2);
  const TokenSums tokens{.chosen_tokens = 2,
                         .rejected_tokens = 1,
                         .entropy = 6,
                         .chosen_logits = 1,
                         .rejected_logits = 0.25,
                         .chosen_first = 1};
  const std::vector<Membership> a = {{0, 1}}, b = {{1, 1}};
  sums.add({.loss = 1, .chosen_reward = 1, .rejected_reward = 0, .chosen_logp = -2, .answers = tokens}, a);
  sums.add({.loss = 3, .chosen_reward = 0, .rejected_reward = 2, .chosen_logp = -6, .answers = tokens}, a);
  sums.add({.loss = 2, .chosen_reward = 2, .rejected_reward = 1, .chosen_logp = -4, .answers = tokens}, b);
  sums.settle_errors();
  return sums;
}

TEST(PairMetrics, HaveTrlsNamesWithStandardErrorsAlsoByGroup) {
  const MetricsJson line = evaluated(three_pairs());
  EXPECT_EQ(line["eval_loss"], 2);
  EXPECT_DOUBLE_EQ(line["eval_loss_error"], std::sqrt(2.0 / 6));
  EXPECT_EQ(line["eval_logps/chosen"], -4);
  EXPECT_DOUBLE_EQ(line["eval_logps/chosen_error"], 2 * std::sqrt(2.0 / 6));
  EXPECT_EQ(line["eval_rewards/margins"], 0);
  EXPECT_DOUBLE_EQ(line["eval_rewards/margins_error"], 1);
  EXPECT_EQ(line["eval_entropy"], 2);
  EXPECT_EQ(line["eval_mean_token_accuracy"], 0.5);
  EXPECT_EQ(line["eval_logits/chosen"], 0.5);
  EXPECT_EQ(line["eval_logits/rejected"], 0.25);
  EXPECT_EQ(line["group_loss"], MetricsJson({{"a", 2.0}, {"b", 2.0}}));
  EXPECT_EQ(line["group_loss_error"], MetricsJson({{"a", 1.0}})) << "one pair has no error";
  EXPECT_EQ(line["group_rewards/rejected"], MetricsJson({{"a", 1.0}, {"b", 1.0}}));
  EXPECT_EQ(line["group_mean_token_accuracy"]["a"], 0.5);
}

TEST(PairMetrics, OfOneFileHaveItsNameInThePrefix) {
  const MetricsJson line = evaluated(three_pairs(), {}, "far west");
  EXPECT_EQ(line["split"], "validation/far west");
  EXPECT_EQ(line["eval_far west_loss"], 2);
  EXPECT_EQ(line["eval_far west_rewards/accuracies"], 2.0 / 3);
  EXPECT_EQ(line["eval_far west_group/a/loss"], 2);
  EXPECT_EQ(line["worst_group_loss"], 2);
  EXPECT_FALSE(line.contains("eval_loss"));
  const EvaluationNumbers numbers = evaluation_numbers(line, "far west");
  EXPECT_EQ(numbers.at("eval_far west_loss"), 2);
  EXPECT_EQ(numbers.at("far west_worst_group_loss"), 2);
}

std::vector<std::string> names(const ValidationMeans& pairs) {
  std::vector<std::string> result;
  const MetricsJson line = evaluation_line(kData, {}, pairs, std::vector<double>{0.5, 0.5});
  for (const auto& [name, value] : evaluation_numbers(line, pairs.file)) result.push_back(name);
  return result;
}

TEST(PairMetrics, KnowTheNumbersOfEvaluationsBeforeTheFirst) {
  BatchSums sums(2);
  for (const std::uint32_t group : {0, 0, 1, 1}) {
    sums.add({.answers = TokenSums{.chosen_tokens = 1, .rejected_tokens = 1}}, std::vector<Membership>{{group, 1}});
  }
  sums.settle_errors();
  const std::vector<double> count_K = {7, 5};
  for (const std::string file : {"", "f"}) {
    EXPECT_EQ(names(expected_means({}, count_K, kNames, file)), names(validation_means({}, sums, kNames, file)));
  }
  EXPECT_THAT(names(expected_means({}, std::vector<double>{7, 0}, kNames)),
              ::testing::Not(::testing::Contains("eval_group/b/loss")));
}

}  // namespace pair_metrics_test
}  // namespace equipoise
