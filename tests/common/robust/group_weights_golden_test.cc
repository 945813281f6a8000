// Trajectories of the authors' update of alpha, as tests/golden/README.md says where from.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/robust/group_weights.h"

namespace equipoise {
namespace group_weights_golden_test {

struct GoldenCase {
  std::string file;
  RobustMode mode;
  Estimator estimator;
};

// The golden alpha is float32 and multiplied up over 20 steps: 20 roundings of 6e-8.
constexpr double kAlphaTolerance = 2e-6;

nlohmann::json golden(const std::string& file) {
  return nlohmann::json::parse(std::ifstream("golden/group_weights/" + file));
}

// The authors' group loss of *_total is ours times the batch size, so their step size is ours divided by it.
GroupWeights weights_of(const nlohmann::json& run, const GoldenCase& golden_case) {
  RobustSettings settings;
  settings.mode = golden_case.mode;
  settings.estimator = golden_case.estimator;
  const double authors_factor = golden_case.estimator == Estimator::kDatasetScaled ? run["batch"].get<double>() : 1.0;
  settings.step_size = run["eta"].get<double>() * authors_factor;
  return GroupWeights(settings, run["N_g"].get<std::vector<double>>(), run["N"]);
}

GroupSums sums_of(const nlohmann::json& step, double batch_pairs) {
  GroupSums sums;
  sums.batch_pairs = batch_pairs;
  for (std::uint32_t g = 0; g < step["group_count"].size(); ++g) {
    if (step["group_count"][g] == 0) continue;
    sums.group.push_back(g);
    sums.loss_sum.push_back(step["group_loss_sum"][g]);
    sums.pair_count.push_back(step["group_count"][g]);
  }
  return sums;
}

class GroupWeightsGolden : public testing::TestWithParam<GoldenCase> {};

TEST_P(GroupWeightsGolden, FollowsTheTrajectoryOfAlpha) {
  const nlohmann::json run = golden(GetParam().file);
  GroupWeights weights = weights_of(run, GetParam());
  for (const nlohmann::json& step : run["steps"]) {
    const auto before_K = step["alpha_before"].get<std::vector<double>>();
    for (std::size_t g = 0; g < before_K.size(); ++g) EXPECT_NEAR(weights.alpha_K()[g], before_K[g], kAlphaTolerance);
    weights.step(sums_of(step, run["batch"]));
    const auto after_K = step["alpha"].get<std::vector<double>>();
    for (std::size_t g = 0; g < after_K.size(); ++g) EXPECT_NEAR(weights.alpha_K()[g], after_K[g], kAlphaTolerance);
  }
}

TEST_P(GroupWeightsGolden, WeightsTimesEstimatesAreTheBackpropagatedLoss) {
  const nlohmann::json run = golden(GetParam().file);
  GroupWeights weights = weights_of(run, GetParam());
  const auto group_pair_count_K = run["N_g"].get<std::vector<double>>();
  const double batch_pairs = run["batch"];
  const double authors_factor = GetParam().estimator == Estimator::kDatasetScaled ? batch_pairs : 1.0;
  for (const nlohmann::json& step : run["steps"]) {
    const GroupSums sums = sums_of(step, batch_pairs);
    const std::vector<double> weight = weights.step(sums);
    const std::vector<double> estimate = estimate_group_loss(sums, GetParam().estimator, group_pair_count_K, run["N"]);
    double loss = 0;
    for (std::size_t i = 0; i < weight.size(); ++i) {
      EXPECT_NEAR(estimate[i] * authors_factor / step["group_loss"][sums.group[i]].get<double>(), 1, 1e-6);
      loss += weight[i] * estimate[i] * authors_factor;
    }
    EXPECT_NEAR(loss / step["loss"].get<double>(), 1, 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Runs, GroupWeightsGolden,
    testing::Values(GoldenCase{"gr_dpo_mean.json", RobustMode::kGroupRobust, Estimator::kBatchMean},
                    GoldenCase{"gr_dpo_total.json", RobustMode::kGroupRobust, Estimator::kDatasetScaled},
                    GoldenCase{"gr_ipo_mean.json", RobustMode::kGroupRobust, Estimator::kBatchMean},
                    GoldenCase{"is_dpo_mean.json", RobustMode::kImportance, Estimator::kBatchMean},
                    GoldenCase{"is_dpo_total.json", RobustMode::kImportance, Estimator::kDatasetScaled}),
    [](const auto& golden_case) { return golden_case.param.file.substr(0, golden_case.param.file.find('.')); });

}  // namespace group_weights_golden_test
}  // namespace equipoise
