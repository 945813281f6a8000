#include "common/log_linear/theta_update.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace equipoise::log_linear {
namespace theta_update_test {

// One group of two features whose gradient sum is always that of one IPO pair with x = (1, 0).
class ThetaUpdateStep : public testing::Test {
 protected:
  ThetaUpdateStep() : sums_(kIpo, 1, 2) {
    matrix_ = {1, 2, {1, 0}, {0}};
    pairs_.assign(matrix_, PairRange{0, 1});
  }

  void step(ThetaUpdate& update) {
    sums_.assign(pairs_, update.theta_D());
    sums_.write_group_sums(group_sums_);
    const std::vector<double> one = {1};
    update.step(sums_, group_sums_, RobustMode::kGroupRobust, one, one);
  }

  static constexpr LossSettings kIpo{PairLoss::kIpo, 0.1, 0};
  PairMatrix matrix_;
  GroupedPairs pairs_;
  StepSums sums_;
  GroupSums group_sums_;
};

TEST_F(ThetaUpdateStep, GoesAgainstTheGradient) {
  ThetaUpdate update({.learning_rate = 0.25}, kIpo, {1, 7});
  step(update);
  EXPECT_EQ(update.theta_D()[0], 1 - 0.25 * 2 * (1 - 5));  // dl/dh = 2 (h - 1/(2 beta)), h = theta_0
  EXPECT_EQ(update.theta_D()[1], 7);
}

TEST_F(ThetaUpdateStep, AveragesThetaAfterEachStep) {
  ThetaUpdate update({.learning_rate = 0.1}, kIpo, {1, 0});
  EXPECT_EQ(update.average_D()[0], 1);
  double sum = 0;
  for (int i = 0; i < 10; ++i) {
    step(update);
    sum += update.theta_D()[0];
  }
  EXPECT_NEAR(update.average_D()[0], sum / 10, 1e-14);
}

TEST_F(ThetaUpdateStep, ProjectsOntoTheBallAndOnlyFromOutside) {
  ThetaUpdate inside({.learning_rate = 0.1, .projection_radius = 100}, kIpo, {1, 2});
  ThetaUpdate free({.learning_rate = 0.1}, kIpo, {1, 2});
  ThetaUpdate outside({.learning_rate = 0.1, .projection_radius = 0.5}, kIpo, {1, 2});
  for (ThetaUpdate* update : {&inside, &free, &outside}) step(*update);
  EXPECT_EQ(inside.theta_D()[0], free.theta_D()[0]);
  EXPECT_NEAR(std::hypot(outside.theta_D()[0], outside.theta_D()[1]), 0.5, 1e-15);
  EXPECT_NEAR(outside.theta_D()[0] / outside.theta_D()[1], free.theta_D()[0] / free.theta_D()[1], 1e-14);
}

TEST_F(ThetaUpdateStep, JumpsToTheMinimumInClosedForm) {
  const ThetaSettings settings{.closed_form = ClosedForm::kObjective, .ridge = 1e-9};
  ThetaUpdate update(settings, kIpo, {1, 2}, NormalEquations(matrix_, {0, 1}));
  step(update);
  EXPECT_NEAR(update.theta_D()[0], 5, 1e-7);  // 1/(2 beta), up to the ridge
  EXPECT_EQ(update.theta_D()[1], 0);
}

TEST_F(ThetaUpdateStep, ShrinksTheLearningRateOnAPlateau) {
  ThetaUpdate update({.learning_rate = 1, .plateau = {.factor = 0.5, .patience = 1}}, kIpo, {1, 0});
  step(update);  // from 1 to 9: as far from 5 as before
  EXPECT_EQ(update.learning_rate(), 1);
  step(update);
  EXPECT_EQ(update.learning_rate(), 0.5);
}

TEST_F(ThetaUpdateStep, ContinuesBitForBitFromItsState) {
  const ThetaSettings settings{.learning_rate = 0.03, .plateau = {.factor = 0.9, .patience = 2}};
  ThetaUpdate whole(settings, kIpo, {1, 2}), resumed(settings, kIpo, {0, 0});
  for (int i = 0; i < 5; ++i) step(whole);
  resumed.restore(whole.state());
  for (int i = 0; i < 5; ++i) {
    step(whole);
    step(resumed);
  }
  EXPECT_EQ(whole.state().theta_D, resumed.state().theta_D);
  EXPECT_EQ(whole.state().average_D, resumed.state().average_D);
  EXPECT_EQ(whole.learning_rate(), resumed.learning_rate());
  EXPECT_THROW(resumed.restore({{1}, {1}, 0, {}}), std::invalid_argument);
  EXPECT_THROW(resumed.restore({{1, std::nan("")}, {1, 2}, 0, {}}), std::invalid_argument);
}

TEST_F(ThetaUpdateStep, IsRefusedWithSettingsOutOfTheirRange) {
  const auto made = [](ThetaSettings settings, LossSettings loss) { ThetaUpdate(settings, loss, {1, 2}); };
  EXPECT_THROW(made({.learning_rate = 0}, kIpo), std::invalid_argument);
  EXPECT_THROW(made({.projection_radius = -1}, kIpo), std::invalid_argument);
  EXPECT_THROW(made({.ridge = -1}, kIpo), std::invalid_argument);
  EXPECT_THROW(made({.closed_form = ClosedForm::kObjective}, {PairLoss::kDpo, 1, 0}), std::invalid_argument);
}

}  // namespace theta_update_test
}  // namespace equipoise::log_linear
