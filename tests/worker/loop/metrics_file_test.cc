#include "worker/train/metrics_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace metrics_file_test {

BatchSums two_groups(double first_loss, double second_loss) {
  BatchSums sums(2);
  sums.add({.loss = first_loss, .chosen_reward = 1, .rejected_reward = 0}, std::vector<Membership>{{0, 1.0}});
  sums.add({.loss = second_loss, .chosen_reward = 0, .rejected_reward = 1}, std::vector<Membership>{{1, 1.0}});
  return sums;
}

nlohmann::json only_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return nlohmann::json::parse(text);
}

TEST(MetricsFile, NamesTheWorstGroupAndTheGapOfTheWeights) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {"a", "b"}, Rewards::kLogged);
  file.write_evaluation({.step = 3, .epoch = 0.5}, two_groups(0.5, 0.75), std::vector<double>{0.25, 0.75});
  const auto line = only_line(path);
  EXPECT_EQ(line["split"], "validation");
  EXPECT_EQ(line["worst_group"], "b");
  EXPECT_EQ(line["worst_group_loss"], 0.75);
  EXPECT_EQ(line["min_group_accuracy"], 0);
  EXPECT_EQ(line["robust_gap"], 0.75 - (0.25 * 0.5 + 0.75 * 0.75));
}

TEST(MetricsFile, CountsLossesAndTheGapFromTheBaseline) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {"a", "b"}, Rewards::kLogged,
                   {.train_baseline_K = {}, .validation_baseline_K = {0.25, 0.625}});
  file.write_evaluation({}, two_groups(0.5, 0.75), std::vector<double>{0.25, 0.75});
  const auto line = only_line(path);
  EXPECT_EQ(line["group_excess_loss"], nlohmann::json({{"a", 0.25}, {"b", 0.125}}));
  EXPECT_EQ(line["eval_group/b/excess_loss"], 0.125);
  EXPECT_EQ(line["worst_group"], "b") << "by its loss";
  EXPECT_EQ(line["worst_group_excess_loss"], 0.25);
  EXPECT_EQ(line["robust_gap"], 0.25 - (0.25 * 0.25 + 0.75 * 0.125));
}

TEST(MetricsFile, LeavesOutTheExcessOfAGroupWithoutABaseline) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a"}, {"a", "b"}, Rewards::kLogged,
                   {.train_baseline_K = {0.25}, .validation_baseline_K = {0.25, std::nan("")}});
  file.write_evaluation({}, two_groups(0.5, 0.75), std::vector<double>{1});
  EXPECT_EQ(only_line(path)["group_excess_loss"], nlohmann::json({{"a", 0.25}}));
}

TEST(MetricsFile, HasTheSftTermWhereThereIsOne) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {}, Rewards::kLogged, {.nll = true});
  BatchSums sums(2);
  sums.add({.loss = 1, .nll = 3}, std::vector<Membership>{{0, 1.0}});
  sums.add({.loss = 1, .nll = 1}, std::vector<Membership>{{0, 0.5}, {1, 0.5}});
  const StepResult result{.sums = sums, .weight = {}, .phase_seconds = {}};
  file.write_step({}, result, std::vector<double>{0.5, 0.5}, {});
  const auto line = only_line(path);
  EXPECT_EQ(line["nll_loss"], 2);
  EXPECT_EQ(line["group_nll_loss"]["a"], 3.5 / 1.5);
  EXPECT_EQ(line["group_nll_loss"]["b"], 1);
}

TEST(MetricsFile, WritesNumbersThatReadBackToTheSameBits) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {}, Rewards::kLogged);
  const double third = 1.0 / 3, tiny = 1e-300 / 7;
  const StepResult result{.sums = two_groups(third, tiny), .weight = {}, .phase_seconds = {}};
  file.write_step({.step = 1, .epoch = third}, result, std::vector<double>{third, 1 - third}, {});
  const auto line = only_line(path);
  EXPECT_EQ(line["group_loss"]["a"].get<double>(), third);
  EXPECT_EQ(line["group_loss"]["b"].get<double>(), tiny);
  EXPECT_EQ(line["group_weight"]["a"].get<double>(), third);
  EXPECT_EQ(line["group/b/weight"].get<double>(), 1 - third);
}

TEST(MetricsFile, LeavesAbsentGroupsOut) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {"a", "b"}, Rewards::kLogged);
  BatchSums sums(2);
  sums.add({.loss = 1}, std::vector<Membership>{{0, 1.0}});
  file.write_evaluation({}, sums, std::vector<double>{0.5, 0.5});
  const auto line = only_line(path);
  EXPECT_TRUE(line["group_loss"].contains("a"));
  EXPECT_FALSE(line["group_loss"].contains("b"));
  EXPECT_FALSE(line.contains("robust_gap"));
}

TEST(MetricsFile, NamesAGroupWhoseLossIsNoNumberAsTheWorstEvenBesideInfinity) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {"a", "b"}, Rewards::kLogged);
  BatchSums sums(2);
  sums.add({.loss = HUGE_VAL}, std::vector<Membership>{{0, 1.0}});
  sums.add({.loss = std::nan("")}, std::vector<Membership>{{1, 1.0}});
  const EvaluationNumbers numbers = file.write_evaluation({}, sums, std::vector<double>{0.5, 0.5});
  EXPECT_TRUE(std::isnan(numbers.at("worst_group_loss")));
  const auto line = only_line(path);
  EXPECT_EQ(line["worst_group"], "b");
  EXPECT_TRUE(line["worst_group_loss"].is_null());
}

TEST(MetricsFile, HasNoAccuracyWhereNothingIsCompared) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {"a", "b"}, Rewards::kNone);
  file.write_evaluation({}, two_groups(1, 2), std::vector<double>{0.5, 0.5});
  const std::string text = only_line(path).dump();
  EXPECT_EQ(text.find("accurac"), std::string::npos);
  EXPECT_EQ(text.find("rewards"), std::string::npos);
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

TEST(MetricsFile, HasTrlsNamesWithStandardErrorsAlsoByGroup) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {"a", "b"}, Rewards::kLogged);
  file.write_evaluation({}, three_pairs(), std::vector<double>{0.5, 0.5});
  const auto line = only_line(path);
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
  EXPECT_EQ(line["group_loss"], nlohmann::json({{"a", 2}, {"b", 2}}));
  EXPECT_EQ(line["group_loss_error"], nlohmann::json({{"a", 1}})) << "one pair has no error";
  EXPECT_EQ(line["group_rewards/rejected"], nlohmann::json({{"a", 1}, {"b", 1}}));
  EXPECT_EQ(line["group_mean_token_accuracy"]["a"], 0.5);
}

TEST(MetricsFile, WritesALineForEachValidationFile) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {"a", "b"}, Rewards::kLogged);
  const EvaluationNumbers numbers = file.write_file({.step = 3, .epoch = 0.5}, "far west", three_pairs());
  const auto line = only_line(path);
  EXPECT_EQ(line["split"], "validation/far west");
  EXPECT_EQ(line["step"], 3);
  EXPECT_EQ(line["eval_far west_loss"], 2);
  EXPECT_EQ(line["eval_far west_rewards/accuracies"], 2.0 / 3);
  EXPECT_EQ(line["eval_far west_group/a/loss"], 2);
  EXPECT_EQ(line["worst_group_loss"], 2);
  EXPECT_FALSE(line.contains("eval_loss"));
  EXPECT_EQ(numbers.at("eval_far west_loss"), 2);
  EXPECT_EQ(numbers.at("far west_worst_group_loss"), 2);
  EXPECT_FALSE(numbers.contains("step"));
}

// So that a metric that no evaluation will have is refused before anything is computed.
TEST(MetricsFile, KnowsTheNumbersOfEvaluationsBeforeTheFirst) {
  const TempFolder folder;
  const LineSettings settings{.train_groups = {"a"}, .validation_groups = {"a", "b"}};
  MetricsFile file(folder.path() / "metrics.jsonl", settings);
  const auto names = [](const EvaluationNumbers& numbers) {
    std::vector<std::string> result;
    for (const auto& [name, value] : numbers) result.push_back(name);
    return result;
  };
  BatchSums sums(2);
  for (const std::uint32_t group : {0, 0, 1, 1}) {
    sums.add({.answers = TokenSums{.chosen_tokens = 1, .rejected_tokens = 1}}, std::vector<Membership>{{group, 1}});
  }
  sums.settle_errors();
  const std::vector<double> alpha_K = {1}, count_K = {7, 5};
  EXPECT_EQ(names(expected_numbers(settings, count_K)), names(file.write_evaluation({}, sums, alpha_K)));
  EXPECT_EQ(names(expected_file_numbers(settings, "f", count_K)), names(file.write_file({}, "f", sums)));
  EXPECT_FALSE(expected_numbers(settings, std::vector<double>{7, 0}).contains("eval_group/b/loss"));
}

}  // namespace metrics_file_test
}  // namespace equipoise
