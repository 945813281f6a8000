#include "coordinator/weights/weight_owner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/base/sha256.h"
#include "tests/coordinator/support/requests.h"

namespace equipoise::coordinator {
namespace weight_owner_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

RobustSettings settings_of(RobustMode mode) {
  RobustSettings settings;
  settings.mode = mode;
  settings.estimator = Estimator::kBatchMean;
  settings.step_size = 0.5;
  return settings;
}

WeightOwner two_groups(RobustSettings settings = settings_of(RobustMode::kGroupRobust)) {
  return {settings, {.names = {"north", "south"}, .pair_count_K = {4, 2}}, 6};
}

std::string error_of(const v1::ReportStepRequest& request) {
  try {
    two_groups().prepare(request);
    return "none";
  } catch (const std::invalid_argument& wrong) {
    return wrong.what();
  }
}

TEST(WeightOwner, AscendsAsTheFormulaSays) {
  WeightOwner owner = two_groups();
  const StepRecord record = owner.prepare(step_request("j", 1, 0, {0.2, 1.0}));
  owner.accept(record);
  // alpha_g proportional to 1/2 * exp(0.5 * S_g / n_g), n_g = 1.
  const double north = std::exp(0.5 * 0.2), south = std::exp(0.5 * 1.0);
  EXPECT_DOUBLE_EQ(owner.alpha_K()[0], north / (north + south));
  EXPECT_DOUBLE_EQ(owner.alpha_K()[1], south / (north + south));
  EXPECT_EQ(record.weight, owner.alpha_K());
  EXPECT_EQ(owner.next_step(), 1);
}

TEST(WeightOwner, TheStepSizeShrinksWhenTheWorstLossStopsFalling) {
  RobustSettings settings = settings_of(RobustMode::kGroupRobust);
  settings.step_plateau = {.factor = 0.1, .patience = 2};
  WeightOwner owner(settings, {.names = {"a", "b"}, .pair_count_K = {1, 1}}, 2);
  double log_ratio = 0;  // log alpha_b / alpha_a = sum of eta_alpha * (L_b - L_a)
  const std::vector<double> step_size = {0.5, 0.5, 0.5, 0.05, 0.05};
  for (std::size_t step = 0; step < step_size.size(); ++step) {
    owner.accept(owner.prepare(step_request("j", 1, static_cast<std::int64_t>(step), {0.2, 1.0})));
    log_ratio += step_size[step] * (1.0 - 0.2);
    EXPECT_NEAR(std::log(owner.alpha_K()[1] / owner.alpha_K()[0]), log_ratio, 1e-14) << step;
  }
}

// In whatever order steps are prepared, accepted, read again and gone on with from a state: the same bits.
TEST(WeightOwner, ChangesHoldFromTheirStepOnAlsoInAReplay) {
  RobustSettings settings = settings_of(RobustMode::kGroupRobust);
  settings.step_plateau = {.factor = 0.5, .patience = 2};
  const std::vector<WeightChange> changes = {{.steps_done = 3, .trade_off = 0.5},
                                             {.steps_done = 5, .step_size = 0.0625},
                                             {.steps_done = 6, .trade_off = 0.25, .step_size = 0.125}};
  WeightOwner owner = two_groups(settings);
  owner.set_changes({changes[0]});
  std::vector<StepRecord> records;
  std::vector<v1::WeightState> states = {owner.state()};
  for (std::int64_t step = 0; step < 9; ++step) {
    if (step == 5) owner.set_changes({changes[0], changes[1]});
    if (step == 6) owner.set_changes(changes);
    records.push_back(owner.prepare(step_request("j", 1, step, {0.2, 1.0})));
    owner.accept(records.back());
    states.push_back(owner.state());
  }
  EXPECT_EQ(states[6].step_size().step_size(), 0.0625) << "set, and not yet shrunk";
  for (std::size_t from = 0; from < records.size(); ++from) {
    WeightOwner again = two_groups(settings);
    again.set_changes(changes);
    again.restore(states[from]);
    for (std::size_t step = from; step < records.size(); ++step) {
      const StepRecord replayed = again.replay(records[step]);
      EXPECT_EQ(replayed.weight, records[step].weight) << from << " " << step;
      EXPECT_EQ(again.state().SerializeAsString(), states[step + 1].SerializeAsString()) << from << " " << step;
    }
  }
  EXPECT_THROW(owner.set_changes({{.steps_done = 20, .trade_off = 2}}), std::invalid_argument);
}

// Losses corrected for label noise may be negative. The owner took the largest of them and 0, so that a loss that fell
// from -0.1 on looked like one that had stopped falling.
TEST(WeightOwner, TheStepSizeStaysWhileNegativeLossesFall) {
  RobustSettings settings = settings_of(RobustMode::kGroupRobust);
  settings.step_plateau = {.factor = 0.1, .patience = 2};
  WeightOwner owner(settings, {.names = {"a", "b"}, .pair_count_K = {1, 1}}, 2);
  double log_ratio = 0;
  for (std::int64_t step = 0; step < 6; ++step) {
    const double worst = -0.1 * static_cast<double>(step + 1);
    owner.accept(owner.prepare(step_request("j", 1, step, {worst - 1, worst})));
    log_ratio += 0.5 * 1;  // eta_alpha (L_b - L_a), the same in every step
    EXPECT_NEAR(std::log(owner.alpha_K()[1] / owner.alpha_K()[0]), log_ratio, 1e-14) << step;
  }
}

// What is read from disk after a restart moves the schedule as the step itself did.
TEST(WeightOwner, ARecordedStepShrinksTheStepSizeAsItDidWhenItCame) {
  RobustSettings settings = settings_of(RobustMode::kGroupRobust);
  settings.step_plateau = {.factor = 0.1, .patience = 1};
  const GroupTable groups{.names = {"a", "b"}, .pair_count_K = {1, 1}};
  WeightOwner owner(settings, groups, 2), restored(settings, groups, 2);
  for (std::int64_t step = 0; step < 4; ++step) {
    const StepRecord record = owner.prepare(step_request("j", 1, step, {0.2, 1.0}));
    owner.accept(record);
    restored.accept(record);
  }
  const auto next = step_request("j", 1, 4, {0.3, 0.7});
  EXPECT_EQ(restored.prepare(next).weight, owner.prepare(next).weight);
}

TEST(WeightOwner, PreparingChangesNothingAndGivesTheSameBitsAgain) {
  const WeightOwner owner = two_groups();
  const auto request = step_request("j", 1, 0, {0.2, 1.0});
  const StepRecord first = owner.prepare(request);
  EXPECT_THAT(owner.alpha_K(), ElementsAre(0.5, 0.5));
  EXPECT_EQ(owner.prepare(request).weight, first.weight);
  EXPECT_EQ(owner.prepare(request).digest, first.digest);
}

TEST(WeightOwner, AnotherNumberAnywhereIsAnotherDigest) {
  const auto request = step_request("j", 1, 0, {0.2, 1.0});
  auto other = request;
  other.set_loss_sum(1, std::nextafter(1.0, 2.0));
  EXPECT_NE(step_digest(request), step_digest(other));
  other = request;
  other.set_batch_pairs(3);
  EXPECT_NE(step_digest(request), step_digest(other));
  other = request;
  other.add_non_finite_group(1);
  EXPECT_NE(step_digest(request), step_digest(other));
}

// It is kept in the coordinator's database, and a step that is reported again is compared with it. Of Python's hashlib.
TEST(WeightOwner, TheDigestOfAStepStaysWhatItWas) {
  const std::string digest = step_digest(step_request("j", 1, 0, {0.2, 1.0}));
  EXPECT_EQ(hex_text(std::as_bytes(std::span(digest))),
            "d1bce7f5222b66dc1af9dea7927c676fbdeda44b6249d9179dec8429f6e04b12");
}

TEST(WeightOwner, ASkippedStepKeepsAlphaAndStillAnswersWeights) {
  WeightOwner owner = two_groups();
  owner.accept(owner.prepare(step_request("j", 1, 0, {0.2, 1.0})));
  const auto before = owner.alpha_K();
  auto request = step_request("j", 1, 1, {0.3, kNaN});
  request.add_non_finite_group(1);
  const StepRecord record = owner.prepare(request);
  owner.accept(record);
  EXPECT_EQ(owner.alpha_K(), before);
  EXPECT_EQ(record.weight, before);
  EXPECT_EQ(owner.next_step(), 2);
}

TEST(WeightOwner, ASkippedStepMayLeaveTheGroupOut) {
  auto request = step_request("j", 1, 0, {0.3});
  request.add_non_finite_group(1);
  EXPECT_THAT(two_groups().prepare(request).weight, ElementsAre(0.5));
}

TEST(WeightOwner, AfterARestartTheRecordedStateGivesTheSameBits) {
  WeightOwner owner = two_groups();
  WeightOwner restored = two_groups();
  StepRecord last;
  for (int step = 0; step < 20; ++step) {
    last = owner.prepare(step_request("j", 1, step, {0.1 * step, 0.7}));
    owner.accept(last);
  }
  restored.accept(last);
  const auto request = step_request("j", 1, 20, {0.3, 0.4});
  EXPECT_EQ(restored.prepare(request).weight, owner.prepare(request).weight);
}

WeightOwner two_groups_in_closed_form() {
  RobustSettings settings = settings_of(RobustMode::kGroupRobust);
  settings.ambiguity_set = AmbiguitySet::kKl;
  settings.tau = 0.7;
  settings.trade_off = 0.9;
  settings.min_weight = 0.05;
  return two_groups(settings);
}

TEST(WeightOwner, AfterARestartAClosedFormGivesTheSameBits) {
  WeightOwner owner = two_groups_in_closed_form();
  for (int step = 0; step < 20; ++step) {
    const StepRecord last = owner.prepare(
        step_request("j", 1, step, step % 3 == 0 ? std::vector{0.1 * step} : std::vector{0.1 * step, 0.7}));
    owner.accept(last);
    WeightOwner restored = two_groups_in_closed_form();
    restored.accept(last);
    const auto next = step_request("j", 1, step + 1, {0.3});  // the loss of the other group is from the record
    EXPECT_EQ(restored.prepare(next).weight, owner.prepare(next).weight) << step;
    EXPECT_EQ(restored.alpha_at(last.log_alpha_K), owner.alpha_K());
  }
}

TEST(WeightOwner, PreparingAStepOfAClosedFormChangesNothing) {
  WeightOwner owner = two_groups_in_closed_form();
  owner.accept(owner.prepare(step_request("j", 1, 0, {0.2, 1.0})));
  const auto loss_K = owner.group_loss_K();
  EXPECT_THAT(loss_K, ElementsAre(0.2, 1.0));
  EXPECT_THAT(owner.prepare(step_request("j", 1, 1, {0.4, 0.5})).group_loss_K, ElementsAre(0.4, 0.5));
  EXPECT_EQ(owner.group_loss_K(), loss_K);
}

TEST(WeightOwner, BadNumbersAreRefusedByFieldGroupNameAndValue) {
  EXPECT_EQ(error_of(step_request("j", 1, 3, {0.2, kNaN})),
            "step 3: loss_sum of group \"south\" is nan, expected a finite number or the group in non_finite_group");
  auto request = step_request("j", 1, 3, {0.2, 0.1});
  request.set_pair_count(0, -1);
  EXPECT_EQ(error_of(request), "step 3: pair_count of group \"north\" is -1, expected a finite number > 0");
  request = step_request("j", 1, 3, {0.2, 0.1});
  request.set_batch_pairs(0);
  EXPECT_EQ(error_of(request), "step 3: batch_pairs is 0, expected a finite number > 0");
}

TEST(WeightOwner, GroupsThatAreUnknownUnorderedOrWithoutNumbersAreRefused) {
  EXPECT_THAT(error_of(step_request("j", 1, 3, {0.2, 0.1, 0.3})),
              HasSubstr("group[2] is 2, expected a group id below 2"));
  auto request = step_request("j", 1, 3, {0.2, 0.1});
  request.set_group(0, 1);
  EXPECT_THAT(error_of(request), HasSubstr("group[1] is 1, expected group ids in ascending order"));
  request = step_request("j", 1, 3, {0.2, 0.1});
  request.add_loss_sum(0.4);
  EXPECT_THAT(error_of(request), HasSubstr("loss_sum has 3 values, expected one for each of the 2 groups"));
  EXPECT_THAT(error_of(step_request("j", 1, 3, {})), HasSubstr("group is empty"));
}

}  // namespace weight_owner_test
}  // namespace equipoise::coordinator
