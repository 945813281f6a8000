#include "common/config/log_linear_config.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "common/config/job_file.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"

namespace equipoise {
namespace log_linear_config_test {

using testing::ElementsAre;
using testing::HasSubstr;
using Change = std::function<void(v1::JobSpec&)>;

void add_reward(v1::LogLinearSpec& policy, std::initializer_list<double> reward_D) {
  google::protobuf::ListValue& row = *policy.add_reward();
  for (const double value : reward_D) row.add_values()->set_number_value(value);
}

v1::LogLinearSpec& policy_of(v1::JobSpec& spec) { return *spec.mutable_policy()->mutable_log_linear(); }

v1::JobSpec smallest_spec() {
  v1::JobSpec spec;
  spec.set_name("bandit");
  policy_of(spec).set_features(v1::FEATURE_MAP_SAME);
  policy_of(spec).set_actions(8);
  add_reward(policy_of(spec), {1, 3});
  add_reward(policy_of(spec), {3, 1});
  spec.mutable_data()->set_train("/data/train.jsonl");
  spec.set_output("/out");
  return spec;
}

v1::JobSpec changed(const Change& change) {
  v1::JobSpec spec = smallest_spec();
  change(spec);
  return spec;
}

std::string refusal(const v1::JobSpec& spec) {
  return refusal_of([&] { make_job_config(spec); });
}

void set_closed_form(v1::JobSpec& spec) {
  policy_of(spec).set_closed_form(true);
  spec.mutable_loss()->set_type(v1::LOSS_TYPE_IPO);
  spec.mutable_training()->set_full_batch(true);
}

TEST(LogLinearConfig, DefaultsAreThoseTheSchemaStates) {
  const JobConfig config = make_job_config(smallest_spec());
  ASSERT_TRUE(config.log_linear.has_value());
  EXPECT_THAT(config.log_linear->problem.initial_theta_D, ElementsAre(0, 0));
  EXPECT_FALSE(config.log_linear->closed_form);
  EXPECT_EQ(config.log_linear->ridge, 0);
  EXPECT_EQ(config.log_linear->projection_radius, 0);
  EXPECT_EQ(config.optimizer.type, OptimizerType::kSgd);
  EXPECT_EQ(config.optimizer.learning_rate, 0.1);
  EXPECT_EQ(config.optimizer.max_grad_norm, 0);
  EXPECT_FALSE(config.training.full_batch);
  EXPECT_EQ(config.training.sampling, Sampling::kPermutation);
  EXPECT_FALSE(config.robust.paper_compat);
  EXPECT_EQ(config.robust.settings.step_plateau.factor, 1);
}

TEST(LogLinearConfig, NamesWhatIsMissingOrOutOfRange) {
  const std::vector<std::pair<Change, std::string>> cases = {
      {[](auto& job) { policy_of(job).clear_features(); },
       "policy.log_linear.features is missing, expected same | swapped | flipped"},
      {[](auto& job) { policy_of(job).clear_actions(); },
       "policy.log_linear.actions is missing, expected the number of actions"},
      {[](auto& job) { policy_of(job).set_actions(-1); },
       "policy.log_linear.actions is -1, expected an integer from 2 to 1048576"},
      {[](auto& job) { policy_of(job).clear_reward(); },
       "policy.log_linear.reward is empty, expected a reward vector for each group"},
      {[](auto& job) {
         add_reward(policy_of(job), {1, 2, 3, 4});
       },
       "policy.log_linear.reward[2] is of length 4, expected 2 like reward[0]"},
      {[](auto& job) {
         add_reward(policy_of(job), {1, NAN});
       },
       "policy.log_linear.reward[2][1] is not finite, expected a finite number"},
      {[](auto& job) { policy_of(job).add_reward()->add_values()->set_string_value("x"); },
       "policy.log_linear.reward[2] is of length 1, expected 2 like reward[0]"},
      {[](auto& job) { policy_of(job).add_initial_theta(1); },
       "policy.log_linear.initial_theta is of length 1, expected 2 like reward[0]"},
      {[](auto& job) { policy_of(job).set_ridge(-1); }, "policy.log_linear.ridge is -1, expected a number >= 0"},
      {[](auto& job) { policy_of(job).set_projection_radius(INFINITY); },
       "policy.log_linear.projection_radius is inf, expected a number >= 0"},
      {[](auto& job) { job.mutable_robust()->set_step_factor(0); },
       "robust.step_factor is 0, expected a number in (0, 1]"},
      {[](auto& job) { job.mutable_robust()->set_step_patience(0); },
       "robust.step_patience is 0, expected an integer from 1 to 1000000000000"},
  };
  for (const auto& [change, message] : cases) EXPECT_EQ(refusal(changed(change)), message);
}

TEST(LogLinearConfig, RefusesWhatALogLinearPolicyCannotHave) {
  const std::vector<std::pair<Change, std::string>> cases = {
      {[](auto& job) { job.mutable_model()->set_path("/m"); }, "model has no use with policy.log_linear"},
      {[](auto& job) { job.mutable_loss()->set_type(v1::LOSS_TYPE_SFT); },
       "loss.type is sft, expected dpo, ipo, hinge or robust"},
      {[](auto& job) { job.mutable_optimizer()->set_type(v1::OPTIMIZER_TYPE_ADAMW); },
       "optimizer.type is adamw, expected sgd"},
      {[](auto& job) { job.mutable_optimizer()->set_max_grad_norm(1); }, "optimizer.max_grad_norm has no use"},
      {[](auto& job) { job.mutable_optimizer()->set_weight_decay(1); }, "optimizer.weight_decay has no use"},
      {[](auto& job) {
         job.mutable_training()->set_full_batch(true), job.mutable_training()->set_global_batch_size(4);
       },
       "training has both full_batch and global_batch_size"},
      {[](auto& job) {
         job.mutable_training()->set_full_batch(true);
         job.mutable_training()->set_sampling(v1::SAMPLING_ONE_GROUP);
       },
       "training.sampling is one_group with full_batch true"},
  };
  for (const auto& [change, message] : cases) EXPECT_THAT(refusal(changed(change)), HasSubstr(message));
}

TEST(LogLinearConfig, TheClosedFormNeedsIpoAndAllPairs) {
  EXPECT_EQ(refusal(changed(set_closed_form)), "accepted");
  v1::JobSpec dpo = changed(set_closed_form);
  dpo.mutable_loss()->set_type(v1::LOSS_TYPE_DPO);
  EXPECT_THAT(refusal(dpo), HasSubstr("closed_form is true with loss.type dpo, expected loss.type ipo"));
  v1::JobSpec batches = changed(set_closed_form);
  batches.mutable_training()->set_full_batch(false);
  EXPECT_THAT(refusal(batches), HasSubstr("closed_form needs training.full_batch"));
}

TEST(LogLinearConfig, ALanguageModelHasNoneOfItsSettings) {
  const auto model = [](const Change& change) {
    v1::JobSpec spec = changed(change);
    spec.clear_policy();
    spec.mutable_model()->set_path("/m");
    return refusal(spec);
  };
  EXPECT_EQ(model([](auto&) {}), "accepted");
  EXPECT_EQ(model([](auto& job) { job.mutable_training()->set_full_batch(true); }), "accepted");
  EXPECT_THAT(model([](auto& job) { job.mutable_data()->set_test("/t"); }), HasSubstr("data.test needs policy"));
  EXPECT_THAT(model([](auto& job) { job.mutable_training()->set_sampling(v1::SAMPLING_ONE_GROUP); }),
              HasSubstr("training.sampling one_group needs policy"));
  EXPECT_THAT(model([](auto& job) { job.mutable_robust()->set_paper_compat(true); }),
              HasSubstr("robust.paper_compat needs policy"));
}

TEST(LogLinearConfig, ResolvesToItself) {
  const std::vector<Change> changes = {
      [](auto&) {},
      set_closed_form,
      [](auto& job) { job.mutable_training()->set_sampling(v1::SAMPLING_ONE_GROUP); },
      [](auto& job) {
        job.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
        job.mutable_robust()->set_step_factor(0.5);
        job.mutable_robust()->set_paper_compat(true);
      },
  };
  for (const Change& change : changes) {
    const v1::JobSpec once = resolved_job(changed(change));
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(once, resolved_job(once))) << once.DebugString();
  }
}

}  // namespace log_linear_config_test
}  // namespace equipoise
