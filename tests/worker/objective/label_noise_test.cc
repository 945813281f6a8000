#include "worker/objective/label_noise.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace equipoise {
namespace label_noise_test {

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

}  // namespace label_noise_test
}  // namespace equipoise
