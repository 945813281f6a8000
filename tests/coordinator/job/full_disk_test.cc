// What the core does while nothing can be stored: a real database on a disk that takes no byte.
#include "tests/coordinator/support/full_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/store/database.h"
#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace full_disk_test {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FullDisk : public ControllerFixture {
 protected:
  v1::HeartbeatResponse heartbeat(const std::string& id) { return calls().heartbeat(heartbeat_request(id, 1, 0)); }
  v1::ReportStepResponse step(const std::string& id, int number) {
    return calls().report_step(step_request(id, 1, number, {0.2, 1.0}));
  }
  static v1::ReportMetricsRequest evaluation(const std::string& id, double loss) {
    v1::ReportMetricsRequest request;
    request.set_job_id(id);
    request.set_generation(1);
    request.set_split(v1::SPLIT_VALIDATION);
    request.set_loss(loss);
    return request;
  }
  static v1::FailWorkerRequest failure(const std::string& id, const std::string& reason) {
    v1::FailWorkerRequest request;
    request.set_job_id(id);
    request.set_generation(1);
    request.set_reason(reason);
    request.set_kind(v1::FAILURE_KIND_PROGRAM);
    return request;
  }
};

// Its processes went on for ever, as the job could not be stored as FAILED.
TEST_F(FullDisk, ASilentRankIsGivenUpAndItsProcessesAreEnded) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 2);
  {
    const RefusingDisk full;
    pass(35s);
    EXPECT_THAT(launcher_.terminated, SizeIs(1));
    EXPECT_TRUE(core_->table().take_failure()) << "it could not be stored";
    EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING) << "people see what is stored";
    EXPECT_THAT(job(id).conditions(), Contains(HasSubstr("could not be stored yet: FAILED, rank 0 on ")));
    pass(10s);
    EXPECT_THAT(launcher_.killed, SizeIs(1));
    mpirun_exits(id, 137, "killed");
    EXPECT_FALSE(core_->attempts().has_live_attempts());
  }
  core_->attempts().tick();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("has not been heard of for 30 s")) << "and not the end that followed";
  restart();
  EXPECT_THAT(job(id).state_reason(), HasSubstr("has not been heard of for 30 s"));
}

TEST_F(FullDisk, EachJobIsTriedByItself) {
  const auto first = running_job(v1::LAUNCH_MODE_EXTERNAL, 1), second = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  {
    const RefusingDisk full;
    pass(31s);
    for (const auto& id : {first, second}) {
      EXPECT_EQ(heartbeat(id).command(), v1::HeartbeatResponse::COMMAND_EXIT);
      EXPECT_EQ(error_of([&] { step(id, 0); }).code, Refusal::Code::kFailedPrecondition) << "it has failed";
    }
  }
  core_->attempts().tick();
  for (const auto& id : {first, second}) EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
}

TEST_F(FullDisk, ACancelIsNotAcknowledgedAndEndsTheProcessesAllTheSame) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  {
    const RefusingDisk full;
    EXPECT_THROW(jobs().cancel(id), StoreError);
    EXPECT_EQ(heartbeat(id).command(), v1::HeartbeatResponse::COMMAND_EXIT);
    core_->attempts().tick();
    EXPECT_THAT(launcher_.terminated, SizeIs(1));
    EXPECT_THROW(jobs().cancel(id), StoreError) << "it still is not stored";
    mpirun_exits(id, 143);
    EXPECT_FALSE(core_->attempts().has_live_attempts());
  }
  core_->attempts().tick();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(FullDisk, AQueuedJobThatIsCancelledIsNotLaunched) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).id();
  {
    const RefusingDisk full;
    EXPECT_THROW(jobs().cancel(id), StoreError);
  }
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, IsEmpty());
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
}

// It was RUNNING for ever: no exit of an mpirun tells of ranks that a user has started.
TEST_F(FullDisk, ARankOfTheUserThatIsKilledBeforeItsEndIsStoredHasFinished) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  do_all_steps(id);
  {
    const RefusingDisk full;
    for (int time = 0; time < 2; ++time) {
      EXPECT_THROW(calls().finish_worker(finish_request(id, 1, 0, 'x')), StoreError) << "the rank waits";
    }
    EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING) << "people see what is stored";
  }
  core_->attempts().tick();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
  calls().finish_worker(finish_request(id, 1, 0, 'x'));
}

// A full disk that is met at the start, with ranks that wait: what had been shown was not stored, and fell.
TEST_F(FullDisk, WhatIsShownOfAnAttemptThatIsTakenOverIsStored) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  restart();
  const auto shown = job(id).revision();
  {
    const RefusingDisk full;
    EXPECT_THROW(restart(), StoreError) << "main() makes room, and tries again";
  }
  restart();
  EXPECT_GT(job(id).revision(), shown);
}

// It threw out of a destructor, so that SIGTERM ended with an abort, and left the processes.
TEST_F(FullDisk, AShutdownEndsAllProcessesAndTheNextStartTellsTheTruth) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  {
    const RefusingDisk full;
    EXPECT_NO_THROW(core_->attempts().begin_shutdown());
    EXPECT_THAT(launcher_.terminated, SizeIs(1));
    EXPECT_NO_THROW(mpirun_exits(id, 143));
    EXPECT_FALSE(core_->attempts().has_live_attempts());
  }
  restart();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(id).state_reason(), "the coordinator was lost while the job was RUNNING");
}

TEST_F(FullDisk, AStepIsAppliedOnceThereIsRoom) {
  const auto held = running_job(v1::LAUNCH_MODE_EXTERNAL, 1), undisturbed = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  step(held, 0);
  {
    const RefusingDisk full;
    for (int attempt = 0; attempt < 3; ++attempt) EXPECT_THROW(step(held, 1), StoreError);
    EXPECT_EQ(job(held).step(), 1);
  }
  step(undisturbed, 0);
  EXPECT_EQ(step(held, 1).SerializeAsString(), step(undisturbed, 1).SerializeAsString());
}

TEST_F(FullDisk, WhatIsToldAlongTheWayIsTakenAndStoredLater) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  {
    const RefusingDisk full;
    auto warning = heartbeat_request(id, 1, 0);
    warning.add_warnings("the learning rate is high");
    EXPECT_NO_THROW(calls().heartbeat(warning));
    EXPECT_NO_THROW(calls().report_metrics(evaluation(id, 0.625)));
  }
  core_->attempts().tick();
  restart();
  EXPECT_THAT(job(id).conditions(), Contains("the learning rate is high"));
}

// Else the next coordinator would have it made once more.
TEST_F(FullDisk, AnEvaluationThatWasAskedForIsTakenOnceThatCanBeStored) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_data()->set_validation("validation.jsonl");
  const auto id = jobs().create(create_request(spec)).id();
  calls().register_worker(register_request(id, 0, 0, 1));
  calls().start_training(start_request(id, 1));
  step(id, 0);
  jobs().evaluate(id);
  auto evaluated = evaluation(id, 0.625);
  evaluated.set_step(1);
  {
    const RefusingDisk full;
    EXPECT_THROW(calls().report_metrics(evaluated), StoreError);
    EXPECT_TRUE(job(id).open_requests().has_evaluation_step());
    EXPECT_FALSE(job(id).has_validation_step()) << "nothing has changed";
  }
  calls().report_metrics(evaluated);
  restart();
  EXPECT_FALSE(job(id).has_open_requests() && job(id).open_requests().has_evaluation_step());
  EXPECT_EQ(job(id).asked_evaluation_steps_size(), 1);
}

TEST_F(FullDisk, WhyARankFailedIsKept) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  {
    const RefusingDisk full;
    EXPECT_NO_THROW(calls().fail_worker(failure(id, "the model has no layers")));
    mpirun_exits(id, 1, "one of its ranks failed");
  }
  core_->attempts().tick();
  EXPECT_EQ(job(id).state_reason(), "rank 0: the model has no layers");
}

TEST_F(FullDisk, AJobIsNotLaunchedWhereThatCannotBeStoredAndTheNextTickTriesAgain) {
  jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1)));
  {
    const RefusingDisk full;
    core_->attempts().tick();
    EXPECT_THAT(launcher_.started, IsEmpty());
    EXPECT_TRUE(core_->table().take_failure());
    EXPECT_FALSE(core_->attempts().has_live_attempts());
  }
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, SizeIs(1));
}

// The bytes of the reserve are for ends alone.
TEST_F(FullDisk, WhileHeldEndsAreStoredAndNothingElse) {
  const auto trains = running_job(v1::LAUNCH_MODE_EXTERNAL, 1), fails = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const auto queued = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).id();
  const auto cancelled = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).id();
  core_->table().hold("the disk is full");
  EXPECT_THAT(job(trains).conditions(), Contains(HasSubstr("the disk is full")));
  EXPECT_THAT(job(queued).conditions(), IsEmpty()) << "it does not wait for the disk alone";
  EXPECT_TRUE(heartbeat(trains).is_held());
  EXPECT_THROW(step(trains, 0), StoreError);
  EXPECT_THROW(jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))), StoreError);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, IsEmpty());
  EXPECT_EQ(jobs().cancel(cancelled).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_NO_THROW(jobs().remove(cancelled));
  calls().fail_worker(failure(fails, "no data"));
  EXPECT_EQ(job(fails).state(), v1::JOB_STATE_FAILED);
  EXPECT_FALSE(core_->table().take_failure());

  core_->table().release();
  EXPECT_FALSE(heartbeat(trains).is_held());
  EXPECT_NO_THROW(step(trains, 0));
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, SizeIs(1));
  restart();
  EXPECT_THAT(job(trains).conditions(), Contains(HasSubstr("the disk is full"))) << "it was stored when it could be";
}

TEST_F(FullDisk, AJobThatHasTrainedSucceedsWhileHeld) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 2);
  do_all_steps(id);
  core_->table().hold("the disk is full");
  for (const int rank : {0, 1}) EXPECT_NO_THROW(calls().finish_worker(finish_request(id, 1, rank, 'x')));
  mpirun_exits(id, 0);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(FullDisk, AnAttemptThatIsLostIsFollowedByAnotherOnceThereIsRoom) {
  auto spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
  spec.mutable_launch()->set_max_restarts(3);
  const auto id = running_job(spec);
  {
    const RefusingDisk full;
    pass(35s);
    EXPECT_THAT(launcher_.terminated, SizeIs(1));
    mpirun_exits(id, 143);
    pass(120s);  // longer than any pause between two attempts
    EXPECT_THAT(launcher_.started, SizeIs(1));
    EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING) << "people see what is stored";
  }
  core_->table().hold("the disk is full");
  pass(120s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING) << "the end of an attempt is stored while held";
  EXPECT_THAT(job(id).state_reason(), HasSubstr("has not been heard of for 30 s"));
  EXPECT_THAT(launcher_.started, SizeIs(1)) << "and the next one is not";
  core_->table().release();
  pass(120s);
  ASSERT_THAT(launcher_.started, SizeIs(2));
  EXPECT_EQ(launcher_.started.back().attempt.generation, 2);
}

TEST_F(FullDisk, ACheckpointIsCommittedOnceThereIsRoom) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  step(id, 0);
  v1::CommitCheckpointRequest commit;
  commit.set_job_id(id);
  commit.set_generation(1);
  commit.set_step(1);
  commit.set_manifest_digest(std::string(32, 'd'));
  commit.set_bytes(1);
  core_->table().hold("the disk is full");
  EXPECT_THROW(calls().commit_checkpoint(commit), StoreError);
  EXPECT_FALSE(job(id).has_checkpoint_step());
  core_->table().release();
  {
    const RefusingDisk full;
    EXPECT_THROW(calls().commit_checkpoint(commit), StoreError);
    EXPECT_FALSE(job(id).has_checkpoint_step());
  }
  calls().commit_checkpoint(commit);
  EXPECT_EQ(job(id).checkpoint_step(), 1);
}

TEST_F(FullDisk, ACheckpointIsAskedForOnceThereIsRoom) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  core_->table().hold("the disk is full");
  EXPECT_THROW(jobs().checkpoint(id), StoreError);
  EXPECT_EQ(heartbeat(id).checkpoint_requests(), 0);
  core_->table().release();
  jobs().checkpoint(id);
  EXPECT_EQ(heartbeat(id).checkpoint_requests(), 1);
}

TEST_F(FullDisk, AWarningIsToldToEachJobThatTrainsOnce) {
  const auto first = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  const std::string sentence = "the disk is nearly full " + std::string(2000, 'x');  // conditions are shorter
  core_->table().warn_running(sentence);
  const auto second = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  core_->table().warn_running(sentence);
  core_->table().warn_running(sentence);
  for (const auto& id : {first, second}) EXPECT_THAT(job(id).conditions(), SizeIs(1));
}

TEST_F(FullDisk, AProbeSaysWhetherAnythingCanBeStored) {
  EXPECT_NO_THROW(core_->table().store().probe());
  {
    const RefusingDisk full;
    EXPECT_THROW(core_->table().store().probe(), StoreError);
  }
  EXPECT_NO_THROW(core_->table().store().probe());
  restart();
  EXPECT_THAT(core_->table().jobs(), IsEmpty());
}

}  // namespace full_disk_test
}  // namespace equipoise::coordinator
