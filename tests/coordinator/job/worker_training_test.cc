// An attempt that goes on from a checkpoint, and the checkpoints that it makes, as its ranks see them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "coordinator/job/step_history.h"
#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace worker_training_test {

using ::testing::HasSubstr;
using Code = Refusal::Code;

class Resume : public ControllerFixture {
 protected:
  // Of another job, with the weights that this one would begin with.
  v1::StartTrainingRequest start_from(const std::string& id, std::int64_t steps) {
    v1::StartTrainingRequest request = start_request(id, 1);
    v1::WeightState state =
        weight_owner_for(make_job_config(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1)), request).state();
    state.set_steps(steps);
    *request.mutable_resume() = resume_point("other-00000000", 2, state);
    return request;
  }
  std::string registered_job(int workers) {
    const std::string id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, workers))).id();
    for (int rank = 0; rank < workers; ++rank) calls().register_worker(registration(id, rank, workers));
    return id;
  }
  std::string resumed_job(std::int64_t steps, int workers = 1) {
    const std::string id = registered_job(workers);
    calls().start_training(start_from(id, steps));
    return id;
  }
};

TEST_F(Resume, AJobGoesOnFromTheStepOfItsCheckpointToTheEndOfItsPlan) {
  const auto id = registered_job(2);
  const auto answer = calls().start_training(start_from(id, 6));
  EXPECT_EQ(answer.plan().first_step(), 6);
  EXPECT_EQ(answer.plan().end_step(), 10);
  EXPECT_EQ(answer.step_size().step_size(), 0.5);
  EXPECT_EQ(job(id).step(), 6);
  EXPECT_EQ(job(id).total_steps(), 10);
  EXPECT_FALSE(job(id).has_checkpoint_step()) << "it has none of its own";
  EXPECT_EQ(job(id).state_reason(), "training 10 steps on 2 ranks, from the checkpoint of step 6");
  EXPECT_EQ(calls().start_training(start_from(id, 6)).SerializeAsString(), answer.SerializeAsString());
  EXPECT_EQ(error_of([&] { calls().start_training(start_from(id, 7)); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] {
              calls().report_step(step_request(id, 1, 5, {0.2, 1.0}));
            }).text,
            "job " + id + ": step is 5, expected 6");
  for (int step = 6; step < 10; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  EXPECT_EQ(job(id).step(), 10);
  calls().finish_worker(finish_request(id, 1, 0, 'x'));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  calls().finish_worker(finish_request(id, 1, 1, 'x'));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(Resume, ARankThatHasMissedAStepDoesNotFinish) {
  const auto id = resumed_job(6);
  for (int step = 6; step < 9; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  EXPECT_THAT(error_of([&] { calls().finish_worker(finish_request(id, 1, 0, 'x')); }).text,
              HasSubstr("rank 0 has finished at step 10 with 9 steps on record, expected 10"));
}

// Nothing before step 6 is on record of this job, and nothing is missing.
TEST_F(Resume, AJobThatBeganWithTheCheckpointOfAnotherIsNotDamaged) {
  const auto id = resumed_job(6);
  for (int step = 6; step < 8; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  restart();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(id).step(), 8);
}

// The checkpoint was made after the last step: what is left is saving.
TEST_F(Resume, AJobWhoseCheckpointIsOfItsLastStepOnlyFinishes) {
  const auto id = resumed_job(10, 2);
  EXPECT_EQ(job(id).step(), 10);
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, 10, {0.2, 1.0})); }).code, Code::kOutOfRange);
  for (const int rank : {0, 1}) calls().finish_worker(finish_request(id, 1, rank, 'x'));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
  restart();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job(id).conditions_size(), 0);
}

TEST_F(Resume, ACheckpointAfterTheEndOfThePlanIsRefusedAndChangesNothing) {
  const auto id = registered_job(1);
  EXPECT_EQ(error_of([&] { calls().start_training(start_from(id, 11)); }).text,
            "resume.weights.steps is 11, expected 0 to 10, the end of the plan");
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  EXPECT_NO_THROW(calls().start_training(start_from(id, 4)));
}

TEST_F(Resume, TheTimeLeftIsOfTheStepsThatAreLeft) {
  const auto id = resumed_job(6);
  v1::ReportMetricsRequest metrics;
  metrics.set_job_id(id);
  metrics.set_generation(1);
  metrics.set_step(6);
  metrics.set_split(v1::SPLIT_TRAIN);
  metrics.set_pairs_per_second(2);
  calls().report_metrics(metrics);
  // Of 6 pairs in batches of 4 an epoch has 2 steps: steps 6 to 9 are two epochs, 12 pairs.
  EXPECT_EQ(job(id).time_left().seconds(), 6);
}

TEST_F(Resume, TheWeightsAfterTheLastStepAreAllThatTheNextOneNeeds) {
  const auto id = running_job(two_group_cvar_spec(v1::LAUNCH_MODE_EXTERNAL, 1, 0.5));
  v1::GetGroupWeightsRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  EXPECT_EQ(calls().group_weights(request).state().steps(), 0);
  for (int step = 0; step < 3; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0 + step}));
  const auto answer = calls().group_weights(request);
  EXPECT_EQ(answer.steps(), 3);
  EXPECT_EQ(answer.state().steps(), 3);
  // As it follows from what is on record.
  const JobConfig config = make_job_config(job(id).spec());
  EXPECT_EQ(answer.state().SerializeAsString(),
            StepHistory(*store_, config, id, {}).weights_after(1, 3).SerializeAsString());
  EXPECT_EQ(answer.state().log_alpha_size(), 2);
  EXPECT_TRUE(answer.state().has_step_size());
}

class Checkpoints : public Resume {};

TEST_F(Checkpoints, ACheckpointOfStepsOnRecordIsTheJobsNewest) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  for (int step = 0; step < 5; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  EXPECT_FALSE(job(id).has_checkpoint_step());
  calls().commit_checkpoint(commit_request(id, 1, 3));
  EXPECT_EQ(job(id).checkpoint_step(), 3);
  const auto revision = job(id).revision();
  calls().commit_checkpoint(commit_request(id, 1, 3));  // its answer was lost
  EXPECT_EQ(job(id).revision(), revision);
  auto next = commit_request(id, 1, 5);
  next.add_removed_steps(3);
  calls().commit_checkpoint(next);
  EXPECT_EQ(job(id).checkpoint_step(), 5);
  EXPECT_GT(job(id).revision(), revision);
  const auto stored = store_->checkpoints(id);
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].step, 3);
  EXPECT_EQ(stored[0].state, "DELETED");
  EXPECT_EQ(stored[1].step, 5);
  EXPECT_EQ(stored[1].state, "COMMITTED");
  EXPECT_EQ(stored[1].generation, 1);
  EXPECT_EQ(stored[1].bytes, 100);
  EXPECT_EQ(stored[1].manifest_digest, std::string(32, 'm'));
  restart();
  EXPECT_EQ(job(id).checkpoint_step(), 5);
}

TEST_F(Checkpoints, ACheckpointOfOtherStepsIsRefused) {
  const auto id = resumed_job(4);
  for (int step = 4; step < 7; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
  EXPECT_EQ(error_of([&] { calls().commit_checkpoint(commit_request(id, 1, 8)); }).text,
            "job " + id + ": step is 8, expected at most the 7 steps that are on record");
  EXPECT_EQ(error_of([&] { calls().commit_checkpoint(commit_request(id, 1, 8)); }).code, Code::kOutOfRange);
  for (const int step : {0, 3, 4}) {
    EXPECT_EQ(error_of([&] { calls().commit_checkpoint(commit_request(id, 1, step)); }).code, Code::kFailedPrecondition)
        << step;
  }
  EXPECT_EQ(error_of([&] { calls().commit_checkpoint(commit_request(id, 2, 6)); }).code, Code::kFailedPrecondition);
  EXPECT_FALSE(job(id).has_checkpoint_step());
  EXPECT_NO_THROW(calls().commit_checkpoint(commit_request(id, 1, 7)));
}

TEST_F(Checkpoints, ACheckpointThatIsNoneIsRefused) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  const auto refused = [&](const std::function<void(v1::CommitCheckpointRequest&)>& change) {
    auto request = commit_request(id, 1, 1);
    change(request);
    const CallError error = error_of([&] { calls().commit_checkpoint(request); });
    EXPECT_EQ(error.code, std::nullopt);
    return error.text;
  };
  using Request = v1::CommitCheckpointRequest;
  const std::pair<std::function<void(Request&)>, const char*> cases[] = {
      {[](Request& r) { r.set_step(-1); }, "step is -1, expected >= 0"},
      {[](Request& r) { r.clear_manifest_digest(); }, "manifest_digest has 0 bytes, expected 32"},
      {[](Request& r) { r.set_bytes(0); }, "bytes is 0, expected >= 1"},
      {[](Request& r) { r.add_removed_steps(1); },
       "removed_steps[0] is 1, expected a step >= 0 that is not the new checkpoint's"},
      {[](Request& r) { r.add_removed_steps(-3); },
       "removed_steps[0] is -3, expected a step >= 0 that is not the new checkpoint's"},
      {[](Request& r) {
         for (int i = 0; i < 1025; ++i) r.add_removed_steps(2);
       },
       "removed_steps has 1025 steps, expected at most 1024"},
  };
  for (const auto& [change, expected] : cases) EXPECT_EQ(refused(change), expected);
  EXPECT_FALSE(job(id).has_checkpoint_step());
}

TEST_F(Checkpoints, AJobThatDoesNotTrainHasNone) {
  const auto id = registered_job(1);
  EXPECT_THAT(error_of([&] { calls().commit_checkpoint(commit_request(id, 1, 1)); }).text,
              HasSubstr("has not started training"));
  const auto cancelled = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  calls().report_step(step_request(cancelled, 1, 0, {0.2, 1.0}));
  jobs().cancel(cancelled);
  EXPECT_EQ(error_of([&] { calls().commit_checkpoint(commit_request(cancelled, 1, 1)); }).code, Code::kCancelled);
}

}  // namespace worker_training_test
}  // namespace equipoise::coordinator
