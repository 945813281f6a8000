#include "common/config/job_config.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <stdexcept>

#include "common/config/job_file.h"
#include "equipoise/v1/job.pb.h"
#include "tests/common/config/resolved_job.h"
#include "tests/support/refusal.h"

namespace equipoise {
namespace job_config_test {

using testing::HasSubstr;

v1::JobSpec smallest_spec() {
  v1::JobSpec spec;
  spec.set_name("opinions");
  spec.mutable_model()->set_path("/models/gemma");
  spec.mutable_data()->set_train("/data/train.jsonl");
  spec.set_output("/out");
  return spec;
}

v1::JobSpec changed(const std::function<void(v1::JobSpec&)>& change) {
  v1::JobSpec spec = smallest_spec();
  change(spec);
  return spec;
}

std::string refusal(const std::function<void(v1::JobSpec&)>& change) {
  return refusal_of([&] { make_job_config(changed(change)); });
}

TEST(JobConfig, DefaultsAreThoseTheSchemaStates) {
  const JobConfig config = make_job_config(smallest_spec());
  EXPECT_EQ(config.model.dtype, DType::kFloat32);
  EXPECT_FALSE(config.model.reference.has_value());
  EXPECT_EQ(config.data.max_length, 1024);
  EXPECT_TRUE(config.data.shuffle);
  EXPECT_EQ(config.loss.type, LossType::kDpo);
  EXPECT_EQ(config.loss.beta, 0.1);
  EXPECT_EQ(config.loss.label_smoothing, 0);
  EXPECT_EQ(config.loss.sft_average, SftAverage::kToken);
  EXPECT_EQ(config.robust.settings.mode, RobustMode::kNone);
  EXPECT_EQ(config.robust.settings.step_size, 0.01);
  EXPECT_EQ(config.robust.settings.estimator, Estimator::kUnbiased);
  EXPECT_EQ(config.robust.settings.update, WeightUpdate::kBeforeGradient);
  EXPECT_EQ(config.robust.settings.trade_off, 1);
  EXPECT_EQ(config.optimizer.type, OptimizerType::kAdamW);
  EXPECT_EQ(config.optimizer.learning_rate, 1e-5);
  EXPECT_EQ(config.optimizer.beta1, 0.9);
  EXPECT_EQ(config.optimizer.beta2, 0.999);
  EXPECT_EQ(config.optimizer.epsilon, 1e-8);
  EXPECT_EQ(config.optimizer.max_grad_norm, 1);
  EXPECT_EQ(config.training.epochs, 1);
  EXPECT_FALSE(config.training.max_steps.has_value());
  EXPECT_EQ(config.training.global_batch_size, 64);
  EXPECT_EQ(config.training.micro_batch_tokens, 16384);
  EXPECT_EQ(config.evaluation_every_steps, 0);
  EXPECT_EQ(config.logging.every_steps, 1);
  EXPECT_FALSE(config.logging.tensorboard);
  EXPECT_EQ(config.logging.pair_shares_mib, 64);
  EXPECT_EQ(config.launch.mode, LaunchMode::kCoordinator);
  EXPECT_EQ(config.launch.workers, 1);
  EXPECT_FALSE(config.overwrite);
}

TEST(JobConfig, ImportanceTakesTheBatchSumUnlessToldOtherwise) {
  v1::JobSpec spec = changed([](auto& job) { job.mutable_robust()->set_mode(v1::ROBUST_MODE_IMPORTANCE); });
  EXPECT_EQ(make_job_config(spec).robust.settings.estimator, Estimator::kBatchSum);
  spec.mutable_robust()->set_estimator(v1::ESTIMATOR_BATCH_MEAN);
  EXPECT_EQ(make_job_config(spec).robust.settings.estimator, Estimator::kBatchMean);
}

TEST(JobConfig, WorkersStartedByHandMayBeAnyNumber) {
  const auto spec = changed([](auto& job) { job.mutable_launch()->set_mode(v1::LAUNCH_MODE_EXTERNAL); });
  EXPECT_FALSE(make_job_config(spec).launch.workers.has_value());
}

TEST(JobConfig, DecayExcludeNamesWhatIsSpared) {
  const auto spec = changed([](auto& job) { job.mutable_optimizer()->add_decay_exclude(v1::DECAY_EXCLUDE_NORM); });
  EXPECT_FALSE(make_job_config(spec).optimizer.decay_norms);
  EXPECT_TRUE(make_job_config(spec).optimizer.decay_biases);
}

TEST(JobConfig, NamesTheRequiredFieldThatIsMissing) {
  EXPECT_THAT(refusal([](auto& job) { job.clear_name(); }), HasSubstr("name is missing"));
  EXPECT_EQ(refusal([](auto& job) { job.clear_model(); }), "model.path is missing, expected a path");
  EXPECT_EQ(refusal([](auto& job) { job.clear_data(); }), "data.train is missing, expected a path");
  EXPECT_EQ(refusal([](auto& job) { job.clear_output(); }), "output is missing, expected a path");
  EXPECT_EQ(refusal([](auto& job) { job.mutable_model()->set_reference(""); }),
            "model.reference is missing, expected a path");
}

TEST(JobConfig, NamesAreLowerCaseLettersDigitsAndDashes) {
  for (const std::string& good : std::vector<std::string>{"a", "a1", "a-1", std::string(63, 'a')}) {
    EXPECT_EQ(refusal([&](auto& job) { job.set_name(good); }), "accepted") << good;
  }
  for (const std::string& bad :
       std::vector<std::string>{"1a", "-a", "a-", "A", "a_b", "a b", "../etc", "é", std::string(64, 'a')}) {
    EXPECT_THAT(refusal([&](auto& job) { job.set_name(bad); }), HasSubstr("name is \"")) << bad;
  }
}

struct OutOfRange {
  std::function<void(v1::JobSpec&)> change;
  std::string message;
};

TEST(JobConfig, NamesFieldValueAndRangeOfWhatIsOutOfRange) {
  const std::vector<OutOfRange> cases = {
      {[](auto& job) { job.mutable_loss()->set_beta(0); }, "loss.beta is 0, expected a number > 0"},
      {[](auto& job) { job.mutable_loss()->set_beta(NAN); }, "loss.beta is nan, expected a number > 0"},
      {[](auto& job) { job.mutable_loss()->set_beta(INFINITY); }, "loss.beta is inf, expected a number > 0"},
      {[](auto& job) { job.mutable_loss()->set_label_smoothing(0.5); },
       "loss.label_smoothing is 0.5, expected a number in [0, 0.5)"},
      {[](auto& job) { job.mutable_data()->set_max_length(1); },
       "data.max_length is 1, expected an integer from 2 to 1048576"},
      {[](auto& job) { (*job.mutable_data()->mutable_group_counts())["India"] = 0; },
       "data.group_counts.India is 0, expected a number in [1e-100, 1e+100]"},
      {[](auto& job) { (*job.mutable_data()->mutable_group_counts())["India"] = 1e-310; },
       "data.group_counts.India is 1e-310, expected a number in [1e-100, 1e+100]"},
      {[](auto& job) { (*job.mutable_data()->mutable_group_counts())[""] = 1; },
       "data.group_counts key is \"\", expected the name of a group"},
      {[](auto& job) { job.mutable_robust()->set_step_size(-1); }, "robust.step_size is -1, expected a number >= 0"},
      {[](auto& job) { job.mutable_robust()->set_trade_off(1.5); },
       "robust.trade_off is 1.5, expected a number in [0, 1]"},
      {[](auto& job) { job.mutable_robust()->set_min_weight(-0.1); },
       "robust.min_weight is -0.1, expected a number in [0, 1]"},
      {[](auto& job) { job.mutable_robust()->set_adjustment(-1); }, "robust.adjustment is -1, expected a number >= 0"},
      {[](auto& job) { job.mutable_optimizer()->set_learning_rate(0); },
       "optimizer.learning_rate is 0, expected a number > 0"},
      {[](auto& job) { job.mutable_optimizer()->add_betas(0.9); },
       "optimizer.betas is a list of 1, expected two numbers such as [0.9, 0.999]"},
      {[](auto& job) { job.mutable_optimizer()->add_betas(0.9), job.mutable_optimizer()->add_betas(1); },
       "optimizer.betas[1] is 1, expected a number in [0, 1)"},
      {[](auto& job) { job.mutable_optimizer()->mutable_schedule()->set_warmup_steps(-1); },
       "optimizer.schedule.warmup_steps is -1, expected an integer from 0 to 1000000000000"},
      {[](auto& job) { job.mutable_training()->set_epochs(0); },
       "training.epochs is 0, expected a number in (0, 1e+06]"},
      {[](auto& job) { job.mutable_training()->set_max_steps(0); },
       "training.max_steps is 0, expected an integer from 1 to 1000000000000"},
      {[](auto& job) { job.mutable_training()->set_global_batch_size(0); },
       "training.global_batch_size is 0, expected an integer from 1 to 2147483647"},
      {[](auto& job) { job.mutable_logging()->add_at_steps(3), job.mutable_logging()->add_at_steps(3); },
       "logging.at_steps is 3, expected an integer from 4 to 1000000000000"},
      {[](auto& job) { job.mutable_launch()->set_workers(0); },
       "launch.workers is 0, expected an integer from 1 to 16384"},
      {[](auto& job) { job.mutable_launch()->set_workers(17000); },
       "launch.workers is 17000, expected an integer from 1 to 16384"},
      {[](auto& job) { job.mutable_loss()->set_type(static_cast<v1::LossType>(99)); },
       "loss.type is 99, expected dpo | ipo | sft | hinge | robust"},
      {[](auto& job) { job.set_output(std::string("a\0b", 3)); },
       "output is \"a\\x00b\", expected a path of at most 4096 bytes without NUL"},
  };
  for (const OutOfRange& expected : cases) EXPECT_EQ(refusal(expected.change), expected.message);
}

TEST(JobConfig, RefusesSettingsThatHaveNoUseTogether) {
  const std::vector<OutOfRange> cases = {
      {[](auto& job) {
         job.mutable_loss()->set_type(v1::LOSS_TYPE_IPO);
         job.mutable_loss()->set_label_smoothing(0.1);
       },
       "loss.label_smoothing needs loss.type dpo"},
      {[](auto& job) { job.mutable_loss()->set_sft_average(v1::SFT_AVERAGE_TOKEN); }, "needs loss.type sft"},
      {[](auto& job) { job.mutable_loss()->set_type(v1::LOSS_TYPE_SFT), job.mutable_loss()->set_beta(0.1); },
       "loss.beta has no use"},
      {[](auto& job) { job.mutable_loss()->set_type(v1::LOSS_TYPE_SFT), job.mutable_model()->set_reference("/r"); },
       "model.reference has no use"},
      {[](auto& job) { job.mutable_loss()->set_reference_free(true), job.mutable_model()->set_reference("/r"); },
       "model.reference has no use"},
      {[](auto& job) { job.mutable_loss()->set_reference_free(true), job.mutable_model()->set_reference_cache(true); },
       "model.reference_cache has no use"},
      {[](auto& job) {
         job.mutable_loss()->set_type(v1::LOSS_TYPE_SFT), job.mutable_model()->set_reference_cache(false);
       },
       "model.reference_cache has no use"},
      {[](auto& job) { (*job.mutable_robust()->mutable_importance_weights())["a"] = 1; },
       "robust.importance_weights needs robust.mode importance"},
      {[](auto& job) {
         job.mutable_optimizer()->set_type(v1::OPTIMIZER_TYPE_SGD);
         job.mutable_optimizer()->set_epsilon(1e-8);
       },
       "optimizer.epsilon needs optimizer.type adamw"},
      {[](auto& job) { job.mutable_evaluation()->set_every_steps(5); }, "evaluation.every_steps needs data.validation"},
      {[](auto& job) { job.mutable_logging()->set_every_steps(5), job.mutable_logging()->add_at_steps(1); },
       "logging has both"},
  };
  for (const OutOfRange& expected : cases) EXPECT_THAT(refusal(expected.change), HasSubstr(expected.message));
}

TEST(JobConfig, GroupWeightedSftAveragesSequences) {
  v1::JobSpec spec = changed([](auto& job) {
    job.mutable_loss()->set_type(v1::LOSS_TYPE_SFT);
    job.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
  });
  EXPECT_EQ(make_job_config(spec).loss.sft_average, SftAverage::kSequence);
  spec.mutable_loss()->set_sft_average(v1::SFT_AVERAGE_TOKEN);
  EXPECT_THROW(make_job_config(spec), std::invalid_argument);
}

std::vector<v1::JobSpec> specs_of_every_kind() {
  return {
      smallest_spec(),
      changed([](auto& job) { job.mutable_loss()->set_type(v1::LOSS_TYPE_SFT); }),
      changed([](auto& job) { job.mutable_loss()->set_type(v1::LOSS_TYPE_IPO); }),
      changed([](auto& job) { job.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST); }),
      changed([](auto& job) {
        job.mutable_robust()->set_mode(v1::ROBUST_MODE_IMPORTANCE);
        (*job.mutable_robust()->mutable_importance_weights())["India"] = 2;
      }),
      changed([](auto& job) { job.mutable_optimizer()->set_type(v1::OPTIMIZER_TYPE_SGD); }),
      changed([](auto& job) { job.mutable_training()->set_max_steps(7), job.mutable_logging()->add_at_steps(3); }),
      changed([](auto& job) { job.mutable_logging()->set_tensorboard(true); }),
      changed([](auto& job) { job.mutable_logging()->set_pair_shares_mib(0); }),
      changed([](auto& job) { job.mutable_launch()->set_mode(v1::LAUNCH_MODE_EXTERNAL); }),
      changed([](auto& job) {
        (*job.mutable_launch()->mutable_mpi_options())["btl_tcp_if_include"] = "eth0";
        job.mutable_launch()->add_environment("HF_HOME");
      }),
  };
}

v1::JobSpec with_ambiguity_set(v1::AmbiguitySet set, double parameter) {
  return changed([=](auto& job) {
    v1::RobustSpec& robust = *job.mutable_robust();
    robust.set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
    robust.set_ambiguity_set(set);
    if (set == v1::AMBIGUITY_SET_CVAR) robust.set_kappa(parameter);
    if (set == v1::AMBIGUITY_SET_CHI_SQUARE) robust.set_rho(parameter);
    if (set == v1::AMBIGUITY_SET_KL) robust.set_tau(parameter);
  });
}

TEST(JobConfig, EachAmbiguitySetHasItsParameter) {
  EXPECT_EQ(make_job_config(smallest_spec()).robust.settings.ambiguity_set, AmbiguitySet::kSimplex);
  const auto settings_of = [](v1::AmbiguitySet set, double parameter) {
    return make_job_config(with_ambiguity_set(set, parameter)).robust.settings;
  };
  EXPECT_EQ(settings_of(v1::AMBIGUITY_SET_CVAR, 0.3).ambiguity_set, AmbiguitySet::kCvar);
  EXPECT_EQ(settings_of(v1::AMBIGUITY_SET_CVAR, 0.3).kappa, 0.3);
  EXPECT_EQ(settings_of(v1::AMBIGUITY_SET_CHI_SQUARE, 0).rho, 0);
  EXPECT_EQ(settings_of(v1::AMBIGUITY_SET_KL, 2).tau, 2);
}

TEST(JobConfig, AParameterIsAskedForByItsSetAndRefusedByTheOthers) {
  const auto complaint = [](v1::AmbiguitySet set, double parameter, auto change) {
    v1::JobSpec spec = with_ambiguity_set(set, parameter);
    change(*spec.mutable_robust());
    return refusal([&spec](v1::JobSpec& job) { job = spec; });
  };
  using Robust = v1::RobustSpec;
  EXPECT_THAT(complaint(v1::AMBIGUITY_SET_CVAR, 0, [](Robust&) {}),
              HasSubstr("robust.kappa is 0, expected a number in (0, 1]"));
  EXPECT_THAT(complaint(v1::AMBIGUITY_SET_CHI_SQUARE, -1, [](Robust&) {}),
              HasSubstr("robust.rho is -1, expected a number >= 0"));
  EXPECT_THAT(complaint(v1::AMBIGUITY_SET_KL, 0, [](Robust&) {}), HasSubstr("robust.tau is 0, expected a number > 0"));
  EXPECT_THAT(complaint(v1::AMBIGUITY_SET_CVAR, 0.3, [](Robust& robust) { robust.clear_kappa(); }),
              HasSubstr("robust.kappa is missing, expected it with robust.ambiguity_set cvar"));
  EXPECT_THAT(complaint(v1::AMBIGUITY_SET_CVAR, 0.3, [](Robust& robust) { robust.set_tau(1); }),
              HasSubstr("robust.tau needs robust.ambiguity_set kl; remove it or set that"));
  EXPECT_THAT(complaint(v1::AMBIGUITY_SET_SIMPLEX, 0, [](Robust& robust) { robust.set_rho(1); }),
              HasSubstr("robust.rho needs robust.ambiguity_set chi_square"));
}

TEST(JobConfig, AClosedFormHasNoSteps) {
  using Robust = v1::RobustSpec;
  const std::vector<std::pair<std::string, std::function<void(Robust&)>>> cases = {
      {"robust.step_size", [](Robust& robust) { robust.set_step_size(0.1); }},
      {"robust.step_factor", [](Robust& robust) { robust.set_step_factor(1); }},
      {"robust.step_patience", [](Robust& robust) { robust.set_step_patience(1); }},
      {"robust.step_threshold", [](Robust& robust) { robust.set_step_threshold(0); }},
      {"robust.step_minimum", [](Robust& robust) { robust.set_step_minimum(0); }},
      {"robust.paper_compat", [](Robust& robust) { robust.set_paper_compat(true); }},
  };
  for (const auto& [field, change] : cases) {
    v1::JobSpec spec = with_ambiguity_set(v1::AMBIGUITY_SET_KL, 1);
    change(*spec.mutable_robust());
    EXPECT_THAT(refusal([&spec](v1::JobSpec& job) { job = spec; }),
                HasSubstr(field + " has no use with robust.ambiguity_set kl; remove it, or set the simplex"));
  }
  v1::JobSpec spec = with_ambiguity_set(v1::AMBIGUITY_SET_KL, 1);
  spec.mutable_robust()->set_estimator(v1::ESTIMATOR_BATCH_SUM);
  EXPECT_THAT(refusal([&spec](v1::JobSpec& job) { job = spec; }),
              HasSubstr("robust.estimator is batch_sum, expected unbiased, batch_mean"));
}

TEST(ResolveDefaults, IsAcceptedAndResolvesToItself) {
  std::vector<v1::JobSpec> specs = specs_of_every_kind();
  specs.push_back(with_ambiguity_set(v1::AMBIGUITY_SET_CVAR, 0.3));
  specs.push_back(with_ambiguity_set(v1::AMBIGUITY_SET_CHI_SQUARE, 0.5));
  specs.push_back(with_ambiguity_set(v1::AMBIGUITY_SET_KL, 2));
  for (const v1::JobSpec& spec : specs) {
    const v1::JobSpec once = resolved_job(spec);
    const v1::JobSpec twice = resolved_job(once);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(once, twice)) << once.DebugString();
  }
}

TEST(ResolveDefaults, StatesWhatWasLeftOut) {
  const v1::JobSpec resolved = resolved_job(smallest_spec());
  EXPECT_EQ(resolved.loss().type(), v1::LOSS_TYPE_DPO);
  EXPECT_EQ(resolved.loss().beta(), 0.1);
  EXPECT_EQ(resolved.optimizer().betas(1), 0.999);
  EXPECT_EQ(resolved.training().global_batch_size(), 64);
  EXPECT_EQ(resolved.launch().workers(), 1);
  EXPECT_EQ(resolved.launch().start_timeout_seconds(), 120);
  EXPECT_TRUE(resolved.data().has_shuffle());
  EXPECT_FALSE(resolved.model().has_reference());  // absent means the start itself
}

TEST(ResolveDefaults, LeavesOutWhatTheModeDoesNotUse) {
  auto spec = changed([](auto& job) { job.mutable_robust()->set_step_size(0.5); });
  EXPECT_FALSE(resolved_job(spec).robust().has_step_size());
  spec.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
  EXPECT_EQ(resolved_job(spec).robust().step_size(), 0.5);
}

TEST(ResolveDefaults, SaysWhichAmbiguitySetTheRunHad) {
  const auto robust = resolved_job(with_ambiguity_set(v1::AMBIGUITY_SET_CVAR, 0.3)).robust();
  EXPECT_EQ(robust.ambiguity_set(), v1::AMBIGUITY_SET_CVAR);
  EXPECT_EQ(robust.kappa(), 0.3);
  EXPECT_FALSE(robust.has_step_size());
  const auto simplex = changed([](auto& job) { job.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST); });
  EXPECT_EQ(resolved_job(simplex).robust().ambiguity_set(), v1::AMBIGUITY_SET_SIMPLEX);
}

}  // namespace job_config_test
}  // namespace equipoise
