#include "common/config/loss_config.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <stdexcept>

#include "common/config/field_check.h"
#include "common/config/group_settings.h"
#include "common/config/job_config.h"
#include "common/config/job_file.h"
#include "equipoise/v1/job.pb.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"

namespace equipoise {
namespace loss_config_test {

using Change = std::function<void(v1::JobSpec&)>;

v1::JobSpec changed(const Change& change) {
  v1::JobSpec spec;
  spec.set_name("a");
  spec.mutable_model()->set_path("/m");
  spec.mutable_data()->set_train("/t");
  spec.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
  spec.set_output("/o");
  change(spec);
  return spec;
}

std::string refusal(const Change& change) {
  return refusal_of([&] { make_job_config(changed(change)); });
}

Change loss_type(v1::LossType type) {
  return [type](v1::JobSpec& spec) { spec.mutable_loss()->set_type(type); };
}

Change both(const Change& one, const Change& other) {
  return [one, other](v1::JobSpec& spec) {
    one(spec);
    other(spec);
  };
}

void noisy_india(v1::JobSpec& spec) { (*spec.mutable_loss()->mutable_label_noise())["India"] = 0.3; }
void smoothed(v1::JobSpec& spec) { spec.mutable_loss()->set_label_smoothing(0.1); }
void with_sft_term(v1::JobSpec& spec) { spec.mutable_loss()->set_sft_weight(0.5); }
void by_entropy(v1::JobSpec& spec) { spec.mutable_robust()->set_baseline(v1::BASELINE_LABEL_ENTROPY); }
void given(v1::JobSpec& spec) {
  spec.mutable_robust()->set_baseline(v1::BASELINE_GIVEN);
  (*spec.mutable_robust()->mutable_group_baselines())["India"] = -0.25;
}

TEST(LossConfig, CallsEachLossAsYamlDoes) {
  for (const LossTraits& row : kLossTraits) {
    EXPECT_EQ(row.name, config_enum_name(row.type, *v1::LossType_descriptor()));
  }
}

TEST(LossConfig, TakesEachLossWithWhatBelongsToIt) {
  EXPECT_EQ(make_job_config(changed(loss_type(v1::LOSS_TYPE_HINGE))).loss.type, LossType::kHinge);
  const JobConfig robust = make_job_config(changed(both(loss_type(v1::LOSS_TYPE_ROBUST), smoothed)));
  EXPECT_EQ(robust.loss.type, LossType::kRobust);
  EXPECT_EQ(robust.loss.label_smoothing, 0.1);
  EXPECT_EQ(make_job_config(changed(noisy_india)).loss.label_noise.at("India"), 0.3);
  EXPECT_EQ(make_job_config(changed(with_sft_term)).loss.sft_weight, 0.5);
}

TEST(LossConfig, RefusesWhatALossHasNoUseFor) {
  const std::vector<std::pair<Change, std::string>> cases = {
      {both(loss_type(v1::LOSS_TYPE_HINGE), smoothed), "loss.label_smoothing needs loss.type dpo or robust"},
      {both(loss_type(v1::LOSS_TYPE_HINGE), noisy_india), "loss.label_noise needs loss.type dpo or ipo, not hinge"},
      {both(loss_type(v1::LOSS_TYPE_SFT), noisy_india), "loss.label_noise needs loss.type dpo or ipo, not sft"},
      {both(loss_type(v1::LOSS_TYPE_ROBUST), noisy_india), "loss.label_noise does not go with loss.type robust"},
      {both(loss_type(v1::LOSS_TYPE_SFT), with_sft_term), "loss.sft_weight has no use with loss.type sft"},
      {both(noisy_india, with_sft_term), "loss.sft_weight does not go with loss.label_noise"},
      {both(loss_type(v1::LOSS_TYPE_ROBUST), with_sft_term), "loss.sft_weight does not go with loss.type robust"},
      {[](auto& spec) { (*spec.mutable_loss()->mutable_label_noise())["India"] = 0.5; },
       "loss.label_noise.India is 0.5, expected a number in [0, 0.5)"},
      {[](auto& spec) { spec.mutable_loss()->set_sft_weight(-1); }, "loss.sft_weight is -1, expected a number >= 0"},
  };
  for (const auto& [change, message] : cases) EXPECT_THAT(refusal(change), testing::StartsWith(message));
}

TEST(LossConfig, ALossThatMayBeNegativeHasAScheduleToo) {
  const auto shrinking = [](v1::JobSpec& spec) {
    spec.clear_model();
    auto& policy = *spec.mutable_policy()->mutable_log_linear();
    policy.set_features(v1::FEATURE_MAP_SAME);
    policy.set_actions(2);
    for (const double first : {1.0, 2.0}) {
      auto& row = *policy.add_reward();
      row.add_values()->set_number_value(first);
      row.add_values()->set_number_value(1);
    }
    spec.mutable_robust()->set_step_factor(0.5);
  };
  EXPECT_EQ(refusal(shrinking), "accepted");
  EXPECT_EQ(refusal(both(shrinking, loss_type(v1::LOSS_TYPE_ROBUST))), "accepted");
}

TEST(BaselineConfig, KnowsWhichLossesHaveAnEntropyFloor) {
  for (const v1::LossType type : {v1::LOSS_TYPE_DPO, v1::LOSS_TYPE_IPO, v1::LOSS_TYPE_ROBUST}) {
    EXPECT_EQ(refusal(both(loss_type(type), by_entropy)), "accepted");
  }
  EXPECT_EQ(refusal(both(noisy_india, by_entropy)), "accepted");
  EXPECT_THAT(
      refusal(both(loss_type(v1::LOSS_TYPE_HINGE), by_entropy)),
      testing::StartsWith("loss.type is hinge, expected dpo, ipo or robust with robust.baseline label_entropy"));
  EXPECT_THAT(refusal(both(loss_type(v1::LOSS_TYPE_SFT), by_entropy)), testing::StartsWith("loss.type is sft"));
  EXPECT_THAT(refusal(both(with_sft_term, by_entropy)), testing::StartsWith("loss.sft_weight does not go"));
  EXPECT_EQ(refusal(both(loss_type(v1::LOSS_TYPE_HINGE), given)), "accepted");
}

TEST(BaselineConfig, GivenOnesAreThereWithBaselineGivenAndOnlyThen) {
  EXPECT_EQ(make_job_config(changed(given)).robust.group_baselines.at("India"), -0.25);
  EXPECT_THAT(refusal([](auto& spec) { spec.mutable_robust()->set_baseline(v1::BASELINE_GIVEN); }),
              testing::StartsWith("robust.group_baselines is missing"));
  EXPECT_THAT(refusal([](auto& spec) { (*spec.mutable_robust()->mutable_group_baselines())["India"] = 1; }),
              testing::StartsWith("robust.group_baselines needs robust.baseline given"));
  EXPECT_THAT(refusal([](auto& spec) {
                given(spec);
                (*spec.mutable_robust()->mutable_group_baselines())["India"] = INFINITY;
              }),
              testing::StartsWith("robust.group_baselines.India is inf, expected a finite number"));
}

TEST(BaselineConfig, BecomesANumberForEachGroupOfTheData) {
  const std::vector<std::string> india = {"India"}, both_groups = {"India", "Chad"};
  EXPECT_EQ(robust_settings_for(make_job_config(changed(given)).robust, india).baseline_K, std::vector{-0.25});
  EXPECT_THROW(robust_settings_for(make_job_config(changed(given)).robust, both_groups), std::invalid_argument);
  const RobustConfig entropy = make_job_config(changed(by_entropy)).robust;
  const std::vector<double> floor_K = {0.5, 0.25};
  EXPECT_EQ(robust_settings_for(entropy, both_groups, floor_K).baseline_K, floor_K);
  EXPECT_TRUE(robust_settings_for(make_job_config(changed([](auto&) {})).robust, india).baseline_K.empty());
}

TEST(LossConfig, ResolvesToItself) {
  for (const Change& change : {both(noisy_india, by_entropy), both(loss_type(v1::LOSS_TYPE_ROBUST), smoothed),
                               both(with_sft_term, given), loss_type(v1::LOSS_TYPE_HINGE)}) {
    const v1::JobSpec resolved = resolved_job(changed(change));
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(resolved_job(resolved), resolved));
    EXPECT_EQ(resolved.loss().label_noise_size(), changed(change).loss().label_noise_size());
    EXPECT_EQ(resolved.robust().baseline(), changed(change).robust().baseline());
  }
}

TEST(LossConfig, SaysWhatTrlDoesOtherwise) {
  LossConfig loss;
  loss.type = LossType::kIpo;
  ASSERT_EQ(differences_from_trl(loss).size(), 1U);
  EXPECT_NE(differences_from_trl(loss)[0].find("loss.length_normalized: true"), std::string::npos);
  loss.length_normalized = true;
  EXPECT_TRUE(differences_from_trl(loss).empty());
  loss = {};
  EXPECT_TRUE(differences_from_trl(loss).empty());
  loss.label_smoothing = 0.1;
  EXPECT_EQ(differences_from_trl(loss).size(), 1U);
  loss.type = LossType::kRobust;
  EXPECT_TRUE(differences_from_trl(loss).empty());
}

}  // namespace loss_config_test
}  // namespace equipoise
