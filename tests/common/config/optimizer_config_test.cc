// Sections `optimizer` and `training.early_stopping`.
#include "common/config/optimizer_config.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "common/config/job_file.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"

namespace equipoise {
namespace optimizer_config_test {

using Change = std::function<void(v1::JobSpec&)>;

v1::JobSpec changed(const Change& change) {
  v1::JobSpec spec;
  spec.set_name("opinions");
  spec.mutable_model()->set_path("/models/gemma");
  spec.mutable_data()->set_train("/data/train.jsonl");
  spec.mutable_data()->set_validation("/data/validation.jsonl");
  spec.mutable_evaluation()->set_every_steps(10);
  spec.set_output("/out");
  change(spec);
  return spec;
}

std::string refusal(const Change& change) {
  return refusal_of([&] { make_job_config(changed(change)); });
}

OptimizerConfig optimizer_of(const Change& change) { return make_job_config(changed(change)).optimizer; }

void use(v1::JobSpec& job, v1::OptimizerType type) { job.mutable_optimizer()->set_type(type); }

TEST(OptimizerConfig, DefaultsAreThoseTheSchemaStates) {
  const OptimizerConfig rmsprop = optimizer_of([](auto& job) { use(job, v1::OPTIMIZER_TYPE_RMSPROP); });
  EXPECT_EQ(rmsprop.type, OptimizerType::kRmsProp);
  EXPECT_EQ(rmsprop.smoothing, 0.99);
  EXPECT_EQ(rmsprop.momentum, 0);
  EXPECT_EQ(rmsprop.epsilon, 1e-8);
  const OptimizerConfig muon = optimizer_of([](auto& job) {
    use(job, v1::OPTIMIZER_TYPE_MUON);
    job.mutable_optimizer()->set_learning_rate(0.25);
  });
  EXPECT_EQ(muon.momentum, 0.95);
  EXPECT_EQ(muon.muon_scale, MuonScale::kMatchRmsAdamW);
  EXPECT_EQ(muon.adamw_learning_rate, 0.25);
  const OptimizerConfig plateau =
      optimizer_of([](auto& job) { job.mutable_optimizer()->mutable_schedule()->set_type(v1::SCHEDULE_TYPE_PLATEAU); });
  EXPECT_EQ(plateau.plateau.factor, 0.1);
  EXPECT_EQ(plateau.plateau.patience, 11) << "torch's 10: the eleventh shrinks";
  EXPECT_EQ(plateau.plateau.threshold, 1e-4);
  EXPECT_EQ(plateau.plateau.smallest, 0);
}

TEST(OptimizerConfig, NamesWhatIsOutOfRange) {
  const std::vector<std::pair<Change, std::string>> cases = {
      {[](auto& job) {
         use(job, v1::OPTIMIZER_TYPE_MUON);
         job.mutable_optimizer()->set_momentum(1);
       },
       "optimizer.momentum is 1, expected a number in [0, 1)"},
      {[](auto& job) {
         use(job, v1::OPTIMIZER_TYPE_RMSPROP);
         job.mutable_optimizer()->set_smoothing(-0.5);
       },
       "optimizer.smoothing is -0.5, expected a number in [0, 1)"},
      {[](auto& job) {
         use(job, v1::OPTIMIZER_TYPE_MUON);
         job.mutable_optimizer()->set_adamw_learning_rate(0);
       },
       "optimizer.adamw_learning_rate is 0, expected a number > 0"},
      {[](auto& job) {
         job.mutable_optimizer()->mutable_schedule()->set_type(v1::SCHEDULE_TYPE_PLATEAU);
         job.mutable_optimizer()->mutable_schedule()->set_factor(1);
       },
       "optimizer.schedule.factor is 1, expected a number in (0, 1)"},
      {[](auto& job) {
         job.mutable_optimizer()->mutable_schedule()->set_type(v1::SCHEDULE_TYPE_PLATEAU);
         job.mutable_optimizer()->mutable_schedule()->set_minimum(1);
       },
       "optimizer.schedule.minimum is 1, expected a number in [0, 1e-05]"},
      {[](auto& job) { job.mutable_optimizer()->mutable_schedule()->set_patience(-1); },
       "optimizer.schedule.patience is -1, expected an integer from 0 to 1000000000000"},
      {[](auto& job) { job.mutable_optimizer()->set_type(static_cast<v1::OptimizerType>(77)); },
       "optimizer.type is 77, expected adamw | sgd | rmsprop | muon"},
      {[](auto& job) {
         job.mutable_training()->mutable_early_stopping()->set_metric("eval_loss");
         job.mutable_training()->mutable_early_stopping()->set_mode(v1::STOP_MODE_MIN);
         job.mutable_training()->mutable_early_stopping()->set_patience(0);
       },
       "training.early_stopping.patience is 0, expected an integer from 1 to 1000000000000"},
      {[](auto& job) {
         job.mutable_training()->mutable_early_stopping()->set_metric("eval_loss");
         job.mutable_training()->mutable_early_stopping()->set_mode(v1::STOP_MODE_MIN);
         job.mutable_training()->mutable_early_stopping()->set_min_delta(std::nan(""));
       },
       "training.early_stopping.min_delta is nan, expected a number >= 0"},
      {[](auto& job) { job.mutable_training()->mutable_early_stopping()->set_mode(v1::STOP_MODE_MIN); },
       "training.early_stopping.metric is missing, expected a number of the validation lines such as "
       "worst_group_loss"},
      {[](auto& job) { job.mutable_training()->mutable_early_stopping()->set_metric("eval_loss"); },
       "training.early_stopping.mode is missing, expected min | max"},
  };
  for (const auto& [change, message] : cases) EXPECT_EQ(refusal(change), message);
}

TEST(OptimizerConfig, RefusesWhatNothingWouldLookAt) {
  const std::vector<std::pair<Change, std::string>> cases = {
      {[](auto& job) { job.mutable_optimizer()->set_momentum(0.9); },
       "optimizer.momentum needs optimizer.type rmsprop or muon; remove it or set the type"},
      {[](auto& job) { job.mutable_optimizer()->set_smoothing(0.9); },
       "optimizer.smoothing needs optimizer.type rmsprop; remove it or set the type"},
      {[](auto& job) { job.mutable_optimizer()->set_muon_scale(v1::MUON_SCALE_ORIGINAL); },
       "optimizer.muon_scale needs optimizer.type muon; remove it or set the type"},
      {[](auto& job) { job.mutable_optimizer()->set_adamw_learning_rate(0.9); },
       "optimizer.adamw_learning_rate needs optimizer.type muon; remove it or set the type"},
      {[](auto& job) {
         use(job, v1::OPTIMIZER_TYPE_SGD);
         job.mutable_optimizer()->set_epsilon(1e-8);
       },
       "optimizer.epsilon needs optimizer.type adamw, rmsprop or muon; remove it or set the type"},
      {[](auto& job) {
         use(job, v1::OPTIMIZER_TYPE_RMSPROP);
         job.mutable_optimizer()->add_betas(0.9), job.mutable_optimizer()->add_betas(0.9);
       },
       "optimizer.betas needs optimizer.type adamw or muon; remove it or set the type"},
      {[](auto& job) { job.mutable_optimizer()->mutable_schedule()->set_patience(3); },
       "optimizer.schedule.factor, patience, threshold and minimum need optimizer.schedule.type plateau; remove them "
       "or "
       "set the type"},
      {[](auto& job) {
         job.mutable_optimizer()->mutable_schedule()->set_type(v1::SCHEDULE_TYPE_PLATEAU);
         job.clear_evaluation();
       },
       "optimizer.schedule.type plateau needs evaluation.every_steps; add it"},
      {[](auto& job) {
         job.mutable_training()->mutable_early_stopping()->set_metric("eval_loss");
         job.mutable_training()->mutable_early_stopping()->set_mode(v1::STOP_MODE_MIN);
         job.clear_evaluation();
       },
       "training.early_stopping needs evaluation.every_steps; add it"},
  };
  for (const auto& [change, message] : cases) EXPECT_EQ(refusal(change), message);
}

TEST(OptimizerConfig, ResolvedSettingsGiveTheSameJob) {
  for (const auto type :
       {v1::OPTIMIZER_TYPE_ADAMW, v1::OPTIMIZER_TYPE_SGD, v1::OPTIMIZER_TYPE_RMSPROP, v1::OPTIMIZER_TYPE_MUON}) {
    for (const auto schedule :
         {v1::SCHEDULE_TYPE_CONSTANT, v1::SCHEDULE_TYPE_LINEAR, v1::SCHEDULE_TYPE_COSINE, v1::SCHEDULE_TYPE_PLATEAU}) {
      const v1::JobSpec spec = changed([&](auto& job) {
        use(job, type);
        job.mutable_optimizer()->mutable_schedule()->set_type(schedule);
        if (schedule == v1::SCHEDULE_TYPE_PLATEAU) job.mutable_optimizer()->mutable_schedule()->set_patience(3);
        job.mutable_training()->set_gradient_checkpointing(true);
        job.mutable_training()->mutable_early_stopping()->set_metric("eval_loss");
        job.mutable_training()->mutable_early_stopping()->set_mode(v1::STOP_MODE_MAX);
      });
      const v1::JobSpec once = resolved_job(spec), twice = resolved_job(once);
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(once, twice));
      const JobConfig before = make_job_config(spec), after = make_job_config(once);
      EXPECT_EQ(before.optimizer.plateau.patience, after.optimizer.plateau.patience);
      EXPECT_EQ(before.optimizer.momentum, after.optimizer.momentum);
      EXPECT_EQ(before.optimizer.schedule, after.optimizer.schedule);
      EXPECT_EQ(after.training.early_stopping->patience, 3);
      EXPECT_EQ(after.training.early_stopping->mode, StopMode::kMax);
      EXPECT_TRUE(after.training.gradient_checkpointing);
    }
  }
}

}  // namespace optimizer_config_test
}  // namespace equipoise
