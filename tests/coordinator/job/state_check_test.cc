// Jobs that end before the end of their plan.
#include "coordinator/job/state_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace state_check_test {

using ::testing::HasSubstr;
using Code = Refusal::Code;

class EarlyStop : public ControllerFixture {};

v1::JobSpec early_stopping_spec(v1::LaunchMode mode, int workers) {
  v1::JobSpec spec = two_group_spec(mode, workers);
  spec.mutable_data()->set_validation("/data/validation.jsonl");
  spec.mutable_evaluation()->set_every_steps(1);
  spec.mutable_training()->mutable_early_stopping()->set_metric("worst_group_loss");
  spec.mutable_training()->mutable_early_stopping()->set_mode(v1::STOP_MODE_MIN);
  return spec;
}

v1::FinishWorkerRequest early_finish(const std::string& job, int rank, std::int64_t final_step) {
  v1::FinishWorkerRequest request = finish_request(job, 1, rank, 'x');
  request.set_final_step(final_step);
  request.mutable_stopped_early()->set_metric("worst_group_loss");
  request.mutable_stopped_early()->set_best_step(1);
  request.mutable_stopped_early()->set_best(0.5);
  return request;
}

TEST_F(EarlyStop, AJobThatAllRanksStopEarlySucceedsAndSaysWhy) {
  const auto id = running_job(early_stopping_spec(v1::LAUNCH_MODE_EXTERNAL, 2));
  for (int step = 0; step < 4; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  EXPECT_EQ(error_of([&] { calls().finish_worker(early_finish(id, 0, 3)); }).code, Code::kFailedPrecondition);
  calls().finish_worker(early_finish(id, 0, 4));
  EXPECT_EQ(error_of([&] {
              calls().report_step(step_request(id, 1, 4, {0.2, 1.0}));
            }).code,
            Code::kOutOfRange)
      << "the plan has ended where the first rank stopped";
  EXPECT_NO_THROW(calls().finish_worker(early_finish(id, 0, 4))) << "the answer may have been lost";
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  calls().finish_worker(early_finish(id, 1, 4));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job(id).step(), 4);
  EXPECT_EQ(job(id).total_steps(), 10);
  EXPECT_EQ(
      job(id).state_reason(),
      "trained on 2 ranks, which ended with equal parameters; stopped early at step 4 of 10: \"worst_group_loss\" "
      "has not become better than 0.5 of step 1");
}

TEST_F(EarlyStop, RanksThatDoNotStopAlikeAreRefused) {
  const auto id = running_job(early_stopping_spec(v1::LAUNCH_MODE_EXTERNAL, 2));
  for (int step = 0; step < 4; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  calls().finish_worker(early_finish(id, 0, 4));
  auto request = finish_request(id, 1, 1, 'x');
  EXPECT_EQ(error_of([&] { calls().finish_worker(request); }).code, Code::kFailedPrecondition);
  request = early_finish(id, 1, 4);
  request.mutable_stopped_early()->set_best_step(2);
  EXPECT_EQ(error_of([&] { calls().finish_worker(request); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(EarlyStop, OnlyAJobWithEarlyStoppingMayStopEarly) {
  const auto plain = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  calls().report_step(step_request(plain, 1, 0, {0.2, 1.0}));
  EXPECT_THAT(error_of([&] { calls().finish_worker(early_finish(plain, 0, 1)); }).text,
              HasSubstr("the job has no training.early_stopping"));
  const auto id = running_job(early_stopping_spec(v1::LAUNCH_MODE_EXTERNAL, 1));
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  const auto refused = [&](const std::function<void(v1::FinishWorkerRequest&)>& change) {
    auto request = early_finish(id, 0, 1);
    change(request);
    return error_of([&] { calls().finish_worker(request); }).text;
  };
  EXPECT_THAT(refused([](auto& r) { r.mutable_stopped_early()->set_best(std::nan("")); }), HasSubstr("best is nan"));
  EXPECT_THAT(refused([](auto& r) { r.mutable_stopped_early()->set_best_step(2); }), HasSubstr("best_step is 2"));
  EXPECT_THAT(refused([](auto& r) { r.mutable_stopped_early()->clear_metric(); }), HasSubstr("metric has 0 bytes"));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(refused([](auto&) {}), "no error");
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(EarlyStop, AJobSaysHowManyStepsChangedNothing) {
  const auto id = running_job(early_stopping_spec(v1::LAUNCH_MODE_EXTERNAL, 1));
  for (int step = 0; step < 4; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  auto request = early_finish(id, 0, 4);
  for (const int skipped : {-1, 5}) {
    request.set_skipped_steps(skipped);
    EXPECT_THAT(error_of([&] { calls().finish_worker(request); }).text,
                HasSubstr("skipped_steps is " + std::to_string(skipped) + ", expected 0 to final_step 4"));
  }
  request.set_skipped_steps(3);
  calls().finish_worker(request);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job(id).skipped_steps(), 3);
  EXPECT_THAT(job(id).state_reason(),
              HasSubstr("of step 1; 3 of 4 steps changed nothing, as a loss or the gradient was "
                        "not finite"));
}

}  // namespace state_check_test
}  // namespace equipoise::coordinator
