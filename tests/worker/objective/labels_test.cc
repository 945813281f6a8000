#include "worker/objective/labels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <stdexcept>

namespace equipoise {
namespace labels_test {

const std::vector<std::string> kGroups = {"Asia", "India", "Chad"};

double noise_of(const LossConfig& loss, const std::vector<Membership>& memberships) {
  return LabelNoise(loss, kGroups).of(memberships);
}

LossConfig noisy(std::map<std::string, double> label_noise) { return {.label_noise = std::move(label_noise)}; }

TEST(LabelNoise, IsTheGroups) {
  const LossConfig loss = noisy({{"India", 0.3}});
  EXPECT_EQ(noise_of(loss, {{1, 1}}), 0.3);
  EXPECT_EQ(noise_of(loss, {{1, 0.25}}), 0.3) << "a share of a pair is as noisy as the whole";
  EXPECT_EQ(noise_of(loss, {{2, 1}}), 0);
  EXPECT_EQ(noise_of({}, {{1, 1}}), 0);
  EXPECT_FALSE(LabelNoise({}, kGroups).is_corrected());
  EXPECT_TRUE(LabelNoise(loss, kGroups).is_corrected());
}

TEST(LabelNoise, OfOverlappingGroupsIsTheirMeanByMembership) {
  const LossConfig loss = noisy({{"India", 0.3}, {"Chad", 0.1}});
  EXPECT_DOUBLE_EQ(noise_of(loss, {{1, 1}, {2, 1}}), 0.2);
  EXPECT_DOUBLE_EQ(noise_of(loss, {{1, 0.25}, {2, 0.75}}), 0.25 * 0.3 + 0.75 * 0.1);
}

TEST(LabelNoise, AGroupThatIsNotNamedSaysNothingButZeroDoes) {
  EXPECT_EQ(noise_of(noisy({{"India", 0.3}}), {{0, 1}, {1, 1}}), 0.3);
  EXPECT_DOUBLE_EQ(noise_of(noisy({{"India", 0.3}, {"Asia", 0}}), {{0, 1}, {1, 1}}), 0.15);
}

TEST(LabelNoise, IsNoneInGroupsThatTrainingDoesNotHave) {
  EXPECT_EQ(noise_of(noisy({{"India", 0.3}}), {{7, 1}}), 0);
  EXPECT_THROW(LabelNoise(noisy({{"Indai", 0.3}}), kGroups), std::invalid_argument);
}

TEST(LabelNoise, OfTheRobustLossIsThatOfAllPairs) {
  const LossConfig loss{.type = LossType::kRobust, .label_smoothing = 0.2};
  EXPECT_EQ(noise_of(loss, {{0, 1}}), 0.2);
  EXPECT_EQ(noise_of(loss, {{2, 0.5}}), 0.2);
  EXPECT_EQ(noise_of({.label_smoothing = 0.2}, {{0, 1}}), 0) << "DPO's smoothing is another thing";
}

// The losses once more, as the papers write them.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double loss_of(const LossConfig& loss, double h) {
  if (loss.type == LossType::kIpo) return (h - 1 / (2 * loss.beta)) * (h - 1 / (2 * loss.beta));
  return (1 - loss.label_smoothing) * softplus(-loss.beta * h) + loss.label_smoothing * softplus(loss.beta * h);
}
double corrected(const LossConfig& loss, double noise, double h) {
  return ((1 - noise) * loss_of(loss, h) - noise * loss_of(loss, -h)) / (1 - 2 * noise);
}

// Of a convex function of h, by thirds.
double minimum(const std::function<double(double)>& value) {
  double low = -1e4, high = 1e4;
  for (int i = 0; i < 400; ++i) {
    const double left = low + (high - low) / 3, right = high - (high - low) / 3;
    (value(left) < value(right) ? high : low) = value(left) < value(right) ? right : left;
  }
  return value((low + high) / 2);
}

std::vector<LossConfig> losses() {
  return {{.beta = 0.1},
          {.beta = 2},
          {.beta = 0.5, .label_smoothing = 0.2},
          {.type = LossType::kIpo, .beta = 0.1},
          {.type = LossType::kIpo, .beta = 1.5}};
}

TEST(LabelFloor, IsTheSmallestMeanLossOverTheLabelsOfAllPeople) {
  for (const LossConfig& loss : losses()) {
    for (const double share : {0.02, 0.3, 0.5, 0.8, 0.999}) {
      const double found =
          minimum([&](double h) { return share * loss_of(loss, h) + (1 - share) * loss_of(loss, -h); });
      EXPECT_NEAR(label_floor(loss, share), found, 1e-9 * (1 + found)) << "share " << share << ", beta " << loss.beta;
    }
  }
}

// A label is drawn by the shares and then flipped; the corrected loss of what is seen has the same smallest mean.
TEST(LabelFloor, IsTheSameWithLabelNoiseThatIsCorrected) {
  for (const LossConfig& loss : losses()) {
    for (const double noise : {0.1, 0.4}) {
      for (const double share : {0.3, 0.5, 0.9}) {
        const double seen = share * (1 - noise) + (1 - share) * noise;
        const double found = minimum(
            [&](double h) { return seen * corrected(loss, noise, h) + (1 - seen) * corrected(loss, noise, -h); });
        EXPECT_NEAR(label_floor(loss, share), found, 1e-8 * (1 + std::abs(found)));
      }
    }
  }
}

TEST(LabelFloor, OfTheRobustLossIsThatOfPlainDpo) {
  const LossConfig robust{.type = LossType::kRobust, .beta = 0.3, .label_smoothing = 0.2};
  EXPECT_EQ(label_floor(robust, 0.7), label_floor({.beta = 0.3}, 0.7));
}

TEST(LabelFloor, IsNothingWhereAllAgreeAndMostWhereHalfDo) {
  EXPECT_EQ(label_floor({}, 1), 0);
  EXPECT_DOUBLE_EQ(label_floor({}, 0.5), std::log(2));
  EXPECT_DOUBLE_EQ(label_floor({.type = LossType::kIpo, .beta = 0.1}, 0.5), 25);
  for (const LossConfig& loss : losses())
    EXPECT_NEAR(label_floor(loss, 0.3), label_floor(loss, 0.7), 1e-15 / loss.beta);
  EXPECT_GT(label_floor({.label_smoothing = 0.1}, 1), 0.3) << "smoothing leaves its own entropy, H(0.1)";
}

TEST(MeanLabelFloors, WeighPairsByTheirMembership) {
  const LossConfig loss{.type = LossType::kIpo, .beta = 1};
  MeanLabelFloors floors(loss, 3);
  const std::vector<Membership> first = {{0, 1}}, both = {{0, 0.5}, {1, 1}};
  floors.add(0.5, first);  // 0.25
  floors.add(0.9, both);   // 0.09
  const std::vector<double> mean_K = floors.mean_K();
  EXPECT_DOUBLE_EQ(mean_K[0], (0.25 + 0.5 * 0.09) / 1.5);
  EXPECT_DOUBLE_EQ(mean_K[1], 0.09);
  EXPECT_EQ(mean_K[2], 0);
}

TEST(Baselines, ForTheMetricsAreNamedOrCountedOrNone) {
  const std::vector<std::string> groups = {"India", "Chad"};
  const std::vector<double> floor_K = {0.1, 0.2};
  RobustConfig robust;
  EXPECT_TRUE(baseline_K(robust, groups, floor_K).empty());
  robust.baseline = Baseline::kLabelEntropy;
  EXPECT_EQ(baseline_K(robust, groups, floor_K), floor_K);
  robust.baseline = Baseline::kGiven;
  robust.group_baselines = {{"Chad", 0.5}};
  EXPECT_TRUE(std::isnan(baseline_K(robust, groups, {})[0]));
  EXPECT_EQ(baseline_K(robust, groups, {})[1], 0.5);
}

}  // namespace labels_test
}  // namespace equipoise
