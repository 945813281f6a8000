#include "worker/train/metrics_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/temp_folder.h"

namespace equipoise {
namespace {

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

TEST(MetricsFile, HasNoAccuracyWhereNothingIsCompared) {
  const TempFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  MetricsFile file(path, {"a", "b"}, {"a", "b"}, Rewards::kNone);
  file.write_evaluation({}, two_groups(1, 2), std::vector<double>{0.5, 0.5});
  const std::string text = only_line(path).dump();
  EXPECT_EQ(text.find("accurac"), std::string::npos);
  EXPECT_EQ(text.find("rewards"), std::string::npos);
}

}  // namespace
}  // namespace equipoise
