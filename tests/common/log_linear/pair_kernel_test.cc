#include "common/log_linear/pair_kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "common/base/split_mix64.h"

namespace equipoise::log_linear {
namespace pair_kernel_test {

constexpr double kUnit = std::numeric_limits<double>::epsilon();

struct OneLoss {
  double loss;
  double slope;
};

// The kernel on one pair with one feature that is 1: h = theta.
OneLoss at(double h, const LossSettings& loss) {
  const double x[kLanes] = {1};
  const double mask[kLanes] = {1};
  double gradient[1], scratch[kLanes];
  const double sum = sum_losses({x, mask, 1, 1}, loss, std::span(&h, 1), gradient, scratch);
  return {sum, gradient[0]};
}

// Random blocks; the last one is half padding.
struct Blocks {
  std::vector<double> x, mask;
  PairBlocks view;

  Blocks(std::size_t count, std::size_t dim) : x(count * dim * kLanes), mask(count * kLanes, 1.0) {
    SplitMix64 random(count * 100 + dim);
    for (double& value : x) value = 4 * random.uniform() - 2;
    for (std::size_t lane = kLanes / 2; lane < kLanes; ++lane) {
      mask[(count - 1) * kLanes + lane] = 0;
      for (std::size_t j = 0; j < dim; ++j) x[((count - 1) * dim + j) * kLanes + lane] = 0;
    }
    view = {x.data(), mask.data(), count, dim};
  }
};

TEST(PairKernel, DpoIsWithinFourUnitsOfTheExactLossAndSlope) {
  double worst_loss = 0, worst_slope = 0;
  for (double z = -700; z <= 700; z += 0.0137) {
    const OneLoss found = at(z, {PairLoss::kDpo, 1.0, 0.0});
    const long double e = std::exp(-std::abs(static_cast<long double>(z)));
    const long double loss = std::log1p(e) + (z < 0 ? -static_cast<long double>(z) : 0.0L);
    const long double slope = -(z > 0 ? e : 1.0L) / (1.0L + e);
    worst_loss = std::max(worst_loss, static_cast<double>(std::abs(found.loss / loss - 1)));
    worst_slope = std::max(worst_slope, static_cast<double>(std::abs(found.slope / slope - 1)));
  }
  EXPECT_LT(worst_loss, 4 * kUnit);
  EXPECT_LT(worst_slope, 4 * kUnit);
}

TEST(PairKernel, LabelSmoothingMixesTheLossOfTheOppositeLabel) {
  constexpr double kBeta = 0.3, kSmoothing = 0.2;
  for (const double h : {-30.0, -1.0, 0.0, 0.5, 20.0}) {
    const double chosen = std::log1p(std::exp(-kBeta * h)), rejected = std::log1p(std::exp(kBeta * h));
    const double sigmoid = 1 / (1 + std::exp(kBeta * h));  // sigmoid(-beta h)
    const OneLoss found = at(h, {PairLoss::kDpo, kBeta, kSmoothing});
    EXPECT_NEAR(found.loss, (1 - kSmoothing) * chosen + kSmoothing * rejected, 1e-13);
    EXPECT_NEAR(found.slope, kBeta * (kSmoothing - sigmoid), 1e-15);
  }
}

TEST(PairKernel, IpoIsTheSquaredDistanceToHalfOverBeta) {
  const OneLoss found = at(3, {PairLoss::kIpo, 0.1, 0});
  EXPECT_EQ(found.loss, 4);    // (3 - 5)^2
  EXPECT_EQ(found.slope, -4);  // 2 (3 - 5)
}

TEST(PairKernel, HingeIsWhatIsMissingToAMarginOfOneOverBeta) {
  constexpr double kBeta = 0.5;
  for (const double h : {-4.0, 0.0, 1.5, 3.0}) {
    const OneLoss found = at(h, {PairLoss::kHinge, kBeta, 0});
    EXPECT_DOUBLE_EQ(found.loss, std::max(0.0, 1 - kBeta * h));
    EXPECT_DOUBLE_EQ(found.slope, kBeta * h < 1 ? -kBeta : 0);
  }
}

LossSettings noisy(PairLoss type, double beta, double smoothing, double noise) {
  return {.type = type, .beta = beta, .label_smoothing = smoothing, .label_noise = noise};
}

TEST(PairKernel, NoLabelNoiseGivesTheSameBits) {
  for (double h = -20; h < 20; h += 0.17) {
    EXPECT_EQ(at(h, noisy(PairLoss::kDpo, 0.3, 0.1, 0)).loss, at(h, {PairLoss::kDpo, 0.3, 0.1}).loss);
    EXPECT_EQ(at(h, noisy(PairLoss::kIpo, 0.3, 0, 0)).loss, (h - 1 / 0.6) * (h - 1 / 0.6));
  }
}

// Of a flipped label the program sees -h. Loss and slope by h, averaged over the flips, are those of the right label.
TEST(PairKernel, OverFlippedLabelsTheCorrectedLossHasTheMeanOfTheRightOnes) {
  for (const double noise : {0.05, 0.3, 0.45}) {
    for (const LossSettings& clean :
         {noisy(PairLoss::kDpo, 0.7, 0, 0), noisy(PairLoss::kDpo, 0.7, 0.2, 0), noisy(PairLoss::kIpo, 0.4, 0, 0)}) {
      LossSettings corrected = clean;
      corrected.label_noise = noise;
      for (const double h : {-25.0, -1.0, 0.0, 0.3, 2.0, 40.0}) {
        const OneLoss right = at(h, corrected), flipped = at(-h, corrected), expected = at(h, clean);
        const double scale = 1e-14 * (1 + std::abs(right.loss) + std::abs(flipped.loss));
        EXPECT_NEAR((1 - noise) * right.loss + noise * flipped.loss, expected.loss, scale);
        EXPECT_NEAR((1 - noise) * right.slope - noise * flipped.slope, expected.slope, scale);
      }
    }
  }
}

TEST(PairKernel, TheCorrectedLossIsThatOfTheLabelLessTheOtherLabels) {
  constexpr double kNoise = 0.2;
  for (const PairLoss type : {PairLoss::kDpo, PairLoss::kIpo}) {
    for (const double h : {-3.0, 0.0, 1.25}) {
      const double mine = at(h, {type, 0.5, 0}).loss, other = at(-h, {type, 0.5, 0}).loss;
      EXPECT_NEAR(at(h, noisy(type, 0.5, 0, kNoise)).loss, ((1 - kNoise) * mine - kNoise * other) / (1 - 2 * kNoise),
                  1e-13);
    }
  }
}

TEST(PairKernel, SlopesAreTheLossesDifferenceQuotients) {
  constexpr double kStep = 1e-5;
  for (const LossSettings& loss :
       {noisy(PairLoss::kDpo, 0.7, 0.1, 0.3), noisy(PairLoss::kIpo, 0.4, 0, 0.3), noisy(PairLoss::kHinge, 0.4, 0, 0)}) {
    for (const double h : {-3.0, 0.0, 0.7, 5.0}) {
      const double quotient = (at(h + kStep, loss).loss - at(h - kStep, loss).loss) / (2 * kStep);
      EXPECT_NEAR(at(h, loss).slope, quotient, 1e-8);
    }
  }
}

TEST(PairKernel, ALossThatIsNotFiniteIsNotHidden) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const PairLoss type : {PairLoss::kDpo, PairLoss::kIpo, PairLoss::kHinge}) {
    EXPECT_FALSE(std::isfinite(at(kNan, {type, 1, 0}).loss));
    EXPECT_EQ(std::isfinite(at(kNan, {type, 1, 0}).slope), type == PairLoss::kHinge);
    EXPECT_FALSE(std::isfinite(at(-kInfinity, {type, 1, 0}).loss));
  }
  EXPECT_EQ(at(-1e300, {PairLoss::kDpo, 1, 0}).loss, 1e300);
}

TEST(PairKernel, SumsOverThePairsAndNotThePadding) {
  const Blocks one(1, 3);
  const std::vector<double> theta_D = {0.5, -1, 2};
  std::vector<double> gradient_D(3), scratch(3 * kLanes), expected_D(3);
  const LossSettings loss{PairLoss::kDpo, 0.7, 0};
  double expected = 0;
  for (std::size_t lane = 0; lane < kLanes / 2; ++lane) {
    double h = 0;
    for (std::size_t j = 0; j < 3; ++j) h += theta_D[j] * one.x[j * kLanes + lane];
    expected += at(h, loss).loss;
    for (std::size_t j = 0; j < 3; ++j) expected_D[j] += at(h, loss).slope * one.x[j * kLanes + lane];
  }
  EXPECT_NEAR(sum_losses(one.view, loss, theta_D, gradient_D, scratch), expected, 1e-14);
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(gradient_D[j], expected_D[j], 1e-14);
}

TEST(PairKernel, EverySetOfInstructionsGivesTheSameBits) {
  if (supported_instructions().size() == 1) GTEST_SKIP() << "this processor has the baseline only";
  for (const std::size_t dim : {std::size_t{2}, std::size_t{4}, std::size_t{6}}) {
    for (const PairLoss type : {PairLoss::kDpo, PairLoss::kIpo, PairLoss::kHinge}) {
      const Blocks blocks(41, dim);
      const LossSettings loss = noisy(type, 0.9, type == PairLoss::kDpo ? 0.1 : 0, type == PairLoss::kHinge ? 0 : 0.2);
      std::vector<double> theta_D(dim, 0.37), scratch(dim * kLanes), baseline_D(dim), gradient_D(dim);
      const double baseline = sum_losses_with(Instructions::kBaseline, blocks.view, loss, theta_D, baseline_D, scratch);
      for (const Instructions instructions : supported_instructions()) {
        EXPECT_EQ(sum_losses_with(instructions, blocks.view, loss, theta_D, gradient_D, scratch), baseline);
        EXPECT_EQ(gradient_D, baseline_D);
      }
    }
  }
}

TEST(PairKernel, RefusesSettingsOutOfTheirRange) {
  EXPECT_NO_THROW(check_loss({PairLoss::kDpo, 1, 0.49}));
  EXPECT_THROW(check_loss({PairLoss::kDpo, 0, 0}), std::invalid_argument);
  EXPECT_THROW(check_loss({PairLoss::kDpo, std::numeric_limits<double>::infinity(), 0}), std::invalid_argument);
  EXPECT_THROW(check_loss({PairLoss::kDpo, 1, 0.5}), std::invalid_argument);
  EXPECT_THROW(check_loss({PairLoss::kDpo, 1, std::nan("")}), std::invalid_argument);
  EXPECT_THROW(check_loss(noisy(PairLoss::kDpo, 1, 0, 0.5)), std::invalid_argument);
  EXPECT_THROW(check_loss(noisy(PairLoss::kHinge, 1, 0, 0.1)), std::invalid_argument);
}

}  // namespace pair_kernel_test
}  // namespace equipoise::log_linear
