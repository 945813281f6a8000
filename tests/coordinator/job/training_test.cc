#include "coordinator/job/training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/coordinator/support/requests.h"
#include "tests/support/refusal.h"

namespace equipoise::coordinator {
namespace training_test {

v1::JobSpec spec_with(v1::Baseline baseline) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_robust()->set_baseline(baseline);
  return spec;
}

v1::StartTrainingRequest start_with(const std::vector<double>& baseline_K) {
  v1::StartTrainingRequest request = start_request("job", 1);
  request.mutable_group_baseline()->Add(baseline_K.begin(), baseline_K.end());
  return request;
}

// log alpha of the first group less that of the second, after a step with losses 0.2 and 1.
double ascent(const v1::JobSpec& spec, const v1::StartTrainingRequest& request) {
  const StepRecord record =
      weight_owner_for(make_job_config(spec), request).prepare(step_request("job", 1, 0, {0.2, 1.0}));
  return record.log_alpha_K[0] - record.log_alpha_K[1];
}

std::string refusal(const v1::JobSpec& spec, const v1::StartTrainingRequest& request) {
  return refusal_of([&] { weight_owner_for(make_job_config(spec), request); });
}

TEST(WeightOwnerFor, TakesTheFloorsThatTheWorkerHasCounted) {
  EXPECT_NEAR(ascent(spec_with(v1::BASELINE_NONE), start_with({})), 0.5 * (0.2 - 1.0), 1e-14);
  EXPECT_NEAR(ascent(spec_with(v1::BASELINE_LABEL_ENTROPY), start_with({0.1, 0.4})), 0.5 * ((0.2 - 0.1) - (1.0 - 0.4)),
              1e-14);
}

TEST(WeightOwnerFor, TakesTheBaselinesOfTheJobByName) {
  v1::JobSpec spec = spec_with(v1::BASELINE_GIVEN);
  (*spec.mutable_robust()->mutable_group_baselines())["south"] = 0.75;
  EXPECT_THAT(refusal(spec, start_with({})), testing::HasSubstr("robust.group_baselines has none for group \"north\""));
  (*spec.mutable_robust()->mutable_group_baselines())["north"] = -0.25;
  EXPECT_NEAR(ascent(spec, start_with({})), 0.5 * ((0.2 + 0.25) - (1.0 - 0.75)), 1e-14);
  (*spec.mutable_robust()->mutable_group_baselines())["west"] = 1;
  EXPECT_THAT(refusal(spec, start_with({})), testing::HasSubstr("robust.group_baselines names group \"west\""));
}

TEST(WeightOwnerFor, RefusesFloorsThatAreNoneOrNotAskedFor) {
  const v1::JobSpec entropy = spec_with(v1::BASELINE_LABEL_ENTROPY);
  EXPECT_EQ(refusal(entropy, start_with({0.1})), "group_baseline has 1 values, expected 2 with this robust.baseline");
  EXPECT_EQ(refusal(spec_with(v1::BASELINE_NONE), start_with({0.1, 0.2})),
            "group_baseline has 2 values, expected 0 with this robust.baseline");
  EXPECT_EQ(refusal(entropy, start_with({0.1, -0.5})),
            "group_baseline of group \"south\" is -0.5, expected a finite number >= 0");
  EXPECT_EQ(refusal(entropy, start_with({std::nan(""), 0.5})),
            "group_baseline of group \"north\" is nan, expected a finite number >= 0");
}

// 4 and 4 of 8 pairs in the file; 100 and 300 in the population, of 400.
TEST(WeightOwnerFor, ScalesByThePopulationThatGroupCountsAreOf) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_robust()->set_estimator(v1::ESTIMATOR_DATASET_SCALED);
  v1::StartTrainingRequest start = start_request("job", 1);
  start.set_num_pairs(8);
  for (int g = 0; g < 2; ++g) start.set_group_pair_count(g, 4);
  const v1::ReportStepRequest step = step_request("job", 1, 0, {0.2, 1.0});
  const auto scaled = [&](double first, double second) {
    return (first * step.loss_sum(0) - second * step.loss_sum(1)) / step.batch_pairs();
  };
  EXPECT_NEAR(ascent(spec, start), 0.5 * scaled(2, 2), 1e-14);
  (*spec.mutable_data()->mutable_group_counts())["north"] = 100;
  (*spec.mutable_data()->mutable_group_counts())["south"] = 300;
  EXPECT_NEAR(ascent(spec, start), 0.5 * scaled(4, 4. / 3), 1e-14);
}

WeightOwner weights_after_four_steps(const v1::JobSpec& spec) {
  WeightOwner weights = weight_owner_for(make_job_config(spec), start_request("job", 1));
  for (std::int64_t step = 0; step < 4; ++step) {
    weights.accept(weights.prepare(step_request("job", 1, step, {0.2 + 0.1 * static_cast<double>(step), 1.0})));
  }
  return weights;
}

v1::StartTrainingRequest resumed_request(const v1::JobSpec& spec) {
  v1::StartTrainingRequest request = start_request("job", 2);
  *request.mutable_resume() = resume_point("job", 1, weights_after_four_steps(spec).state());
  return request;
}

TEST(BeginTraining, GoesOnFromACheckpointBitByBit) {
  v1::JobSpec spec = two_group_cvar_spec(v1::LAUNCH_MODE_EXTERNAL, 1, 0.5);
  for (const bool is_adaptive : {false, true}) {
    if (is_adaptive) {
      spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
      spec.mutable_robust()->set_estimator(v1::ESTIMATOR_UNBIASED);
      spec.mutable_robust()->set_step_factor(0.5);
    }
    const v1::StartTrainingRequest request = resumed_request(spec);
    Training training = begin_training(make_job_config(spec), request, 1);
    EXPECT_EQ(training.plan.first_step, 4);
    EXPECT_EQ(training.plan.end_step, 10);
    EXPECT_EQ(training.weights.state().SerializeAsString(), request.resume().weights().SerializeAsString());
    const v1::StartTrainingResponse& answer = training.stored.response;
    EXPECT_EQ(answer.plan().first_step(), 4);
    EXPECT_EQ(answer.step_size().SerializeAsString(), request.resume().weights().step_size().SerializeAsString());
    EXPECT_THAT(answer.log_alpha(), testing::ElementsAreArray(request.resume().weights().log_alpha()));
    EXPECT_THAT(answer.group_loss(), testing::ElementsAreArray(request.resume().weights().group_loss()));
    WeightOwner unbroken = weights_after_four_steps(spec);
    for (std::int64_t step = 4; step < 8; ++step) {
      const v1::ReportStepRequest next = step_request("job", 2, step, {0.7, 0.3 + 0.2 * static_cast<double>(step)});
      unbroken.accept(unbroken.prepare(next));
      training.weights.accept(training.weights.prepare(next));
      EXPECT_EQ(training.weights.state().SerializeAsString(), unbroken.state().SerializeAsString()) << step;
    }
  }
}

TEST(BeginTraining, StartsWithTheJobsEtaAlpha) {
  const Training training =
      begin_training(make_job_config(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1)), start_request("job", 1), 1);
  EXPECT_EQ(training.plan.first_step, 0);
  EXPECT_EQ(training.stored.response.step_size().step_size(), 0.5);
  EXPECT_EQ(training.stored.response.step_size().waited(), 0);
}

TEST(BeginTraining, TakesACheckpointOfTheLastStep) {
  const v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  v1::StartTrainingRequest request = resumed_request(spec);
  request.mutable_resume()->mutable_weights()->set_steps(10);
  const Training training = begin_training(make_job_config(spec), request, 1);
  EXPECT_EQ(training.plan.first_step, 10);
  EXPECT_EQ(training.end_step(), 10);
}

TEST(BeginTraining, RefusesACheckpointThatIsNone) {
  const v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto refused = [&](const std::function<void(v1::ResumePoint&)>& change) {
    v1::StartTrainingRequest request = resumed_request(spec);
    change(*request.mutable_resume());
    return refusal_of([&] {
      check_start_training(request);
      begin_training(make_job_config(spec), request, 1);
    });
  };
  using Point = v1::ResumePoint;
  const double infinity = std::numeric_limits<double>::infinity(), no_number = std::nan("");
  const std::pair<std::function<void(Point&)>, const char*> cases[] = {
      {[](Point&) {}, "accepted"},
      {[](Point& p) { p.clear_job_id(); }, "resume.job_id has 0 bytes, expected 1 to 128"},
      {[](Point& p) { p.set_job_id(std::string(129, 'j')); }, "resume.job_id has 129 bytes, expected 1 to 128"},
      {[](Point& p) { p.set_generation(0); }, "resume.generation is 0, expected >= 1"},
      {[](Point& p) { p.set_manifest_digest("short"); }, "resume.manifest_digest has 5 bytes, expected 32"},
      {[](Point& p) { p.clear_weights(); }, "resume.weights is absent, expected those of the checkpoint"},
      {[](Point& p) { p.mutable_weights()->set_steps(-1); }, "resume.weights.steps is -1, expected >= 0"},
      {[](Point& p) { p.mutable_weights()->set_steps(11); },
       "resume.weights.steps is 11, expected 0 to 10, the end of the plan"},
      {[](Point& p) { p.mutable_weights()->add_log_alpha(0); },
       "resume.weights.log_alpha has 3 values, expected one for each of 2 groups"},
      {[&](Point& p) { p.mutable_weights()->set_log_alpha(1, -infinity); },
       "resume.weights.log_alpha of group \"south\" is -inf, expected a finite number"},
      {[](Point& p) { p.mutable_weights()->add_group_loss(1); },
       "resume.weights.group_loss has 1 values, expected one for each of 2 groups"},
      {[](Point& p) {
         p.mutable_weights()->add_group_loss(1);
         p.mutable_weights()->add_group_loss(1);
       },
       "resume.weights.group_loss has 2 values, expected 0 with these robust settings"},
      {[](Point& p) { p.mutable_weights()->clear_step_size(); },
       "resume.weights.step_size is absent, expected eta_alpha"},
      {[&](Point& p) { p.mutable_weights()->mutable_step_size()->set_step_size(no_number); },
       "resume.weights.step_size.step_size is nan, expected a finite number >= 0"},
      {[](Point& p) { p.mutable_weights()->mutable_step_size()->set_step_size(-1); },
       "resume.weights.step_size.step_size is -1, expected a finite number >= 0"},
      {[&](Point& p) { p.mutable_weights()->mutable_step_size()->set_best(no_number); },
       "resume.weights.step_size.best is nan, expected a number, or infinity where there is none"},
      {[](Point& p) { p.mutable_weights()->mutable_step_size()->set_waited(-1); },
       "resume.weights.step_size.waited is -1, expected >= 0"},
  };
  for (const auto& [change, expected] : cases) EXPECT_EQ(refused(change), expected);
  EXPECT_THAT(refused([](Point& p) { p.mutable_weights()->set_log_alpha(0, 3); }),
              testing::StartsWith("resume.weights: "))
      << "weights that do not sum to 1";
}

}  // namespace training_test
}  // namespace equipoise::coordinator
