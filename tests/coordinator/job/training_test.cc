#include "coordinator/job/training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

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

}  // namespace training_test
}  // namespace equipoise::coordinator
