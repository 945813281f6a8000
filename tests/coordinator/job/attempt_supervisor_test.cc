// Launching, losing and ending attempts.
#include "coordinator/job/attempt_supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/job/controller_fixture.h"

namespace equipoise::coordinator {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = Refusal::Code;

class AttemptSupervisorTest : public ControllerFixture {
 protected:
  std::string queued_job(v1::LaunchMode mode = v1::LAUNCH_MODE_COORDINATOR) {
    return people().create(create_request(two_group_spec(mode, 2))).id();
  }
};

TEST_F(AttemptSupervisorTest, LaunchesTheOldestJobAndTheNextWhenThereIsRoom) {
  const auto first = queued_job(), second = queued_job();
  core_->attempts().tick();
  ASSERT_THAT(launcher_.started, SizeIs(1));
  EXPECT_EQ(launcher_.started[0].attempt.job_id, first);
  EXPECT_EQ(launcher_.started[0].workers, 2);
  EXPECT_EQ(job(first).state(), v1::JOB_STATE_STARTING);
  EXPECT_EQ(job(first).generation(), 1);
  EXPECT_EQ(job(second).state(), v1::JOB_STATE_QUEUED);
  mpirun_exits(first, 1, "no such host");
  core_->attempts().tick();
  ASSERT_THAT(launcher_.started, SizeIs(2));
  EXPECT_NE(launcher_.started[0].token, launcher_.started[1].token);
  EXPECT_EQ(job(first).state_reason(), "mpirun exited with code 1: no such host");
}

TEST_F(AttemptSupervisorTest, AFailedJobKeepsItsPlaceUntilItsProcessesHaveEnded) {
  const auto first = running_job(v1::LAUNCH_MODE_COORDINATOR, 2);
  queued_job();
  v1::FailWorkerRequest failure;
  failure.set_job_id(first);
  failure.set_generation(1);
  failure.set_reason("bad data");
  failure.set_kind(v1::FAILURE_KIND_INVALID_INPUT);
  ranks().fail_worker(failure);
  people().remove(first);
  pass(13s);
  EXPECT_THAT(launcher_.started, SizeIs(1));
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  EXPECT_THAT(launcher_.killed, SizeIs(1));
  core_->attempts().exited({.attempt = launcher_.started[0].attempt, .exit_code = 137, .last_line = ""});
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, SizeIs(2));
}

TEST_F(AttemptSupervisorTest, SuccessNeedsMpirunsZeroAndEveryRanksEnd) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 2);
  do_all_steps(id);
  ranks().finish_worker(finish_request(id, 1, 0, 'x'));
  ranks().finish_worker(finish_request(id, 1, 1, 'x'));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  mpirun_exits(id, 0);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(AttemptSupervisorTest, ZeroWithoutEveryRanksEndIsAFailure) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 2);
  do_all_steps(id);
  ranks().finish_worker(finish_request(id, 1, 0, 'x'));
  mpirun_exits(id, 0);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("1 of 2 ranks had finished"));
}

TEST_F(AttemptSupervisorTest, WhatCannotBeLaunchedFailsWithTheReason) {
  launcher_.refusal = "mpirun cannot be started: No such file or directory";
  const auto id = queued_job();
  core_->attempts().tick();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("No such file or directory"));
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
}

TEST_F(AttemptSupervisorTest, ASilentRankFailsTheJobAfterItsLease) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  for (int i = 0; i < 31; ++i) {
    ranks().heartbeat(heartbeat_request(id, 1, 0));
    EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING) << i;
    pass(1s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(id).state_reason(), "rank 1 on host has not been heard of for 30 s");
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
}

TEST_F(AttemptSupervisorTest, AFrozenMachineCostsNoRankItsLease) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  pass(1s);
  clock_.advance(1h);
  core_->attempts().tick();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  pass(31s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
}

TEST_F(AttemptSupervisorTest, CancelStopsALaunchedJobByTermThenKill) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  EXPECT_EQ(people().cancel(id).state(), v1::JOB_STATE_CANCELLING);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.terminated, ElementsAre(AttemptKey{.job_id = id, .generation = 1}));
  EXPECT_EQ(ranks().heartbeat(heartbeat_request(id, 1, 0)).command(), v1::HeartbeatResponse::COMMAND_EXIT);
  EXPECT_EQ(complaint([&] { ranks().report_step(step_request(id, 1, 0, {0.2, 1.0})); }).code, Code::kCancelled);
  pass(9s);
  EXPECT_THAT(launcher_.killed, IsEmpty());
  pass(1s);
  EXPECT_THAT(launcher_.killed, SizeIs(1));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLING);
  mpirun_exits(id, 137);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(people().cancel(id).state(), v1::JOB_STATE_CANCELLED) << "again is no complaint";
}

TEST_F(AttemptSupervisorTest, CancelOfAnExternalJobWaitsForItsRanks) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  people().cancel(id);
  core_->attempts().tick();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLING);
  v1::FailWorkerRequest leaving;
  leaving.set_job_id(id);
  leaving.set_generation(1);
  ranks().fail_worker(leaving);
  EXPECT_EQ(ranks().heartbeat(heartbeat_request(id, 1, 1)).command(), v1::HeartbeatResponse::COMMAND_EXIT);
  pass(10s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLING);
  pass(1s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(complaint([&] { ranks().register_worker(register_request(id, 0, 0, 2)); }).code, Code::kCancelled);
}

TEST_F(AttemptSupervisorTest, ARestartFailsWhatRanAndRunsTheQueue) {
  const auto ran = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  const auto queued = queued_job();
  ranks().report_step(step_request(ran, 1, 0, {0.2, 1.0}));
  const auto seen = job(ran);
  restart();
  EXPECT_EQ(job(ran).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(ran).state_reason(), "the coordinator was lost while the job was RUNNING");
  EXPECT_EQ(job(ran).step(), 1);
  EXPECT_EQ(job(ran).groups(1).weight(), seen.groups(1).weight());
  EXPECT_GT(job(ran).revision(), seen.revision());
  core_->attempts().tick();
  EXPECT_EQ(job(queued).state(), v1::JOB_STATE_STARTING);
}

TEST_F(AttemptSupervisorTest, ShuttingDownFailsWhatRunsAndStartsNothing) {
  const auto ran = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  const auto queued = queued_job();
  core_->attempts().begin_shutdown();
  EXPECT_EQ(job(ran).state_reason(), "the coordinator was stopped while the job was RUNNING");
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  mpirun_exits(ran, 1);
  core_->attempts().tick();
  EXPECT_FALSE(core_->attempts().has_live_attempts());
  EXPECT_EQ(job(queued).state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(complaint([&] { queued_job(); }).code, Code::kUnavailable);
}

}  // namespace
}  // namespace equipoise::coordinator
