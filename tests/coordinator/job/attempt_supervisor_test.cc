// Launching, losing and ending attempts.
#include "coordinator/job/attempt_supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace attempt_supervisor_test {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = Refusal::Code;

class AttemptSupervisorTest : public ControllerFixture {
 protected:
  std::string queued_job(v1::LaunchMode mode = v1::LAUNCH_MODE_COORDINATOR) {
    return jobs().create(create_request(two_group_spec(mode, 2))).id();
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

// It fell from 1,003,503 to 1,000,004: only states and evaluations are stored, and a restart added a million.
TEST_F(AttemptSupervisorTest, ARevisionDoesNotFallOverARestartAfterOverAMillionChanges) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1), queued = queued_job();
  auto heartbeat = heartbeat_request(id, 1, 0);
  const auto begin = job(id).revision();
  for (int change = 0; change < 1'100'000; ++change) {
    heartbeat.set_phase(change % 2 == 0 ? "saving" : "training");
    calls().heartbeat(heartbeat);
  }
  const auto seen = job(id).revision();
  EXPECT_EQ(seen, begin + 1'100'000);
  auto last = seen, last_queued = job(queued).revision();
  for (int start = 0; start < 3; ++start) {
    restart();
    EXPECT_GT(job(id).revision(), seen);
    EXPECT_GE(job(id).revision(), last);
    EXPECT_GE(job(queued).revision(), last_queued);
    last = job(id).revision();
    core_->attempts().tick();  // launched, and lost at the next start
    last_queued = job(queued).revision();
  }
  EXPECT_EQ(job(queued).state(), v1::JOB_STATE_FAILED);
}

TEST_F(AttemptSupervisorTest, ARevisionAfterARestartIsAboveAllThatCanHaveBeenSeen) {
  std::int64_t stored = 4;
  for (int start = 0; start < 10; ++start) {
    constexpr std::int64_t kMostChanges = (std::int64_t{1} << 40) - 1;
    const std::int64_t after = revision_after_restart(stored);
    EXPECT_GT(after, stored + kMostChanges - stored % (kMostChanges + 1));
    stored = after + 1;
  }
}

TEST_F(AttemptSupervisorTest, LaunchesNothingOnceLaunchesAreHeldAndStillEndsAttempts) {
  const auto first = running_job(v1::LAUNCH_MODE_COORDINATOR, 2), second = queued_job();
  core_->attempts().hold_launches();
  jobs().cancel(first);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  mpirun_exits(first, 143);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, SizeIs(1));
  EXPECT_EQ(job(second).state(), v1::JOB_STATE_QUEUED);
}

TEST_F(AttemptSupervisorTest, AFailedJobKeepsItsPlaceUntilItsProcessesHaveEnded) {
  const auto first = running_job(v1::LAUNCH_MODE_COORDINATOR, 2);
  queued_job();
  v1::FailWorkerRequest failure;
  failure.set_job_id(first);
  failure.set_generation(1);
  failure.set_reason("bad data");
  failure.set_kind(v1::FAILURE_KIND_INVALID_INPUT);
  calls().fail_worker(failure);
  jobs().remove(first);
  pass(13s);
  EXPECT_THAT(launcher_.started, SizeIs(1));
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  EXPECT_THAT(launcher_.killed, SizeIs(1));
  core_->attempts().handle_exit({.attempt = launcher_.started[0].attempt, .exit_code = 137, .last_line = ""});
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, SizeIs(2));
}

TEST_F(AttemptSupervisorTest, SuccessNeedsMpirunsZeroAndEveryRanksEnd) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 2);
  do_all_steps(id);
  calls().finish_worker(finish_request(id, 1, 0, 'x'));
  calls().finish_worker(finish_request(id, 1, 1, 'x'));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  mpirun_exits(id, 0);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(AttemptSupervisorTest, ZeroWithoutEveryRanksEndIsAFailure) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 2);
  do_all_steps(id);
  calls().finish_worker(finish_request(id, 1, 0, 'x'));
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
    calls().heartbeat(heartbeat_request(id, 1, 0));
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
  EXPECT_EQ(jobs().cancel(id).state(), v1::JOB_STATE_CANCELLING);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.terminated, ElementsAre(AttemptKey{.job_id = id, .generation = 1}));
  EXPECT_EQ(calls().heartbeat(heartbeat_request(id, 1, 0)).command(), v1::HeartbeatResponse::COMMAND_EXIT);
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, 0, {0.2, 1.0})); }).code, Code::kCancelled);
  pass(9s);
  EXPECT_THAT(launcher_.killed, IsEmpty());
  pass(1s);
  EXPECT_THAT(launcher_.killed, SizeIs(1));
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLING);
  mpirun_exits(id, 137);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(jobs().cancel(id).state(), v1::JOB_STATE_CANCELLED) << "again is no error";
}

TEST_F(AttemptSupervisorTest, CancelOfAnExternalJobWaitsForItsRanks) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  jobs().cancel(id);
  core_->attempts().tick();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLING);
  v1::FailWorkerRequest leaving;
  leaving.set_job_id(id);
  leaving.set_generation(1);
  calls().fail_worker(leaving);
  EXPECT_EQ(calls().heartbeat(heartbeat_request(id, 1, 1)).command(), v1::HeartbeatResponse::COMMAND_EXIT);
  pass(10s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLING);
  pass(1s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(error_of([&] { calls().register_worker(register_request(id, 0, 0, 2)); }).code, Code::kCancelled);
}

TEST_F(AttemptSupervisorTest, ARestartFailsWhatRanAndRunsTheQueue) {
  const auto ran = running_job(v1::LAUNCH_MODE_COORDINATOR, 1);
  const auto queued = queued_job();
  calls().report_step(step_request(ran, 1, 0, {0.2, 1.0}));
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

// A job that another version of the program took, and whose spec this one refuses.
TEST_F(AttemptSupervisorTest, ARestartFailsAQueuedJobThatAnotherVersionStored) {
  v1::TrainingJob stored;
  stored.set_id("old-1");
  *stored.mutable_spec() = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
  stored.mutable_spec()->mutable_loss()->set_beta(-1);
  stored.set_state(v1::JOB_STATE_QUEUED);
  store_->insert_job(stored, std::nullopt);
  store_->start_training(stored, {.request = start_request("old-1", 1), .response = {}});
  restart();
  EXPECT_EQ(job("old-1").state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job("old-1").state_reason(), "loss.beta is -1, expected a number > 0");
  v1::ListGroupWeightsRequest weights;
  weights.set_id("old-1");
  const CallError refused = error_of([&] { jobs().group_weights(weights); });
  EXPECT_EQ(refused.code, Code::kFailedPrecondition);
  EXPECT_THAT(refused.text,
              ::testing::EndsWith("another version of the coordinator: loss.beta is -1, expected a number > 0"));
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
  EXPECT_EQ(error_of([&] { queued_job(); }).code, Code::kUnavailable);
}

class OnTwoHosts : public AttemptSupervisorTest {
 protected:
  OnTwoHosts() {
    settings_.supervisor.hosts = {{.name = "node1", .slots = 2}, {.name = "node2", .slots = 1}};
    settings_.supervisor.max_running_jobs = 10;
    restart();
  }
  std::string queued(int workers) {
    return jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, workers))).id();
  }
};

TEST_F(OnTwoHosts, NoTwoJobsHaveTheSameSlots) {
  const auto first = queued(1), second = queued(1), third = queued(2);
  core_->attempts().tick();
  ASSERT_THAT(launcher_.started, SizeIs(2));
  EXPECT_THAT(launcher_.started[0].hosts, ElementsAre(HostSlots{.name = "node1", .slots = 1}));
  EXPECT_THAT(launcher_.started[1].hosts, ElementsAre(HostSlots{.name = "node1", .slots = 1}));
  EXPECT_EQ(job(third).state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job(third).state_reason(), "waiting for 2 free slots; 1 of 3 is free");
  mpirun_exits(second, 1);
  core_->attempts().tick();
  ASSERT_THAT(launcher_.started, SizeIs(3));
  EXPECT_THAT(launcher_.started[2].hosts,
              ElementsAre(HostSlots{.name = "node1", .slots = 1}, HostSlots{.name = "node2", .slots = 1}));
}

TEST_F(OnTwoHosts, AJobThatFitsOneHostIsNotSpread) {
  queued(1), queued(1), queued(1);
  core_->attempts().tick();
  mpirun_exits(launcher_.started[0].attempt.job_id, 1);
  mpirun_exits(launcher_.started[2].attempt.job_id, 1);
  queued(1);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started.back().hosts, ElementsAre(HostSlots{.name = "node1", .slots = 1}));
}

TEST_F(OnTwoHosts, ALargeJobIsNotOvertakenBySmallOnes) {
  queued(2);
  const auto large = queued(3), small = queued(1);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, SizeIs(1));
  EXPECT_EQ(job(large).state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job(small).state(), v1::JOB_STATE_QUEUED);
}

TEST_F(OnTwoHosts, WhatNeverFitsIsRefusedAtOnce) {
  EXPECT_EQ(
      error_of([&] { queued(4); }).text,
      "launch.workers is 4, expected at most 3: the hostfile has no more slots, on node1, node2 (slots=N behind a "
      "host's name gives it N)");
  const auto fits = queued(3);
  settings_.supervisor.hosts.pop_back();
  restart();
  core_->attempts().tick();
  EXPECT_EQ(job(fits).state(), v1::JOB_STATE_FAILED) << "the hostfile has become shorter";
}

TEST_F(OnTwoHosts, WhatCannotBeLaunchedGivesItsSlotsBack) {
  launcher_.refusal = "no";
  queued(3);
  core_->attempts().tick();
  launcher_.refusal.clear();
  queued(3);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, SizeIs(1));
}

TEST_F(OnTwoHosts, RanksThatNeverRegisterAreNamedWithTheirHosts) {
  const auto id = queued(3);
  core_->attempts().tick();
  calls().register_worker(registration(id, 0, 3));
  for (int second = 0; second < 131; ++second) {
    calls().heartbeat(heartbeat_request(id, 1, 0));
    ASSERT_EQ(job(id).state(), v1::JOB_STATE_STARTING) << second;
    pass(1s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_THAT(job(id).state_reason(),
              HasSubstr("rank 1 on node1, rank 2 on node2 have not registered within 120 s: all hosts and this one ("));
  EXPECT_THAT(job(id).state_reason(), HasSubstr("firewalls"));
}

TEST_F(OnTwoHosts, TheStartMayTakeAsLongAsTheJobSays) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 3);
  spec.mutable_launch()->set_start_timeout_seconds(10);
  const auto id = jobs().create(create_request(spec)).id();
  core_->attempts().tick();
  EXPECT_EQ(launcher_.started[0].start_timeout, 10s);
  pass(20s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  pass(1s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
}

TEST_F(OnTwoHosts, AFailureBeforeTheRanksRunNamesTheHosts) {
  const auto id = queued(3);
  core_->attempts().tick();
  mpirun_exits(id, 1, "Host key verification failed.");
  EXPECT_EQ(job(id).state_reason(), "mpirun exited with code 1: Host key verification failed.; hosts: node1, node2");
}

TEST_F(OnTwoHosts, CancelledNamesTheHostsThatCouldNotBeReached) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 3);
  jobs().cancel(id);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.terminated, IsEmpty()) << "ranks hear of it first";
  for (const int rank : {0, 1}) calls().heartbeat(heartbeat_request(id, 1, rank));
  pass(17s);
  ASSERT_THAT(launcher_.killed, SizeIs(1)) << "mpirun waits for a host that does not answer";
  mpirun_exits(id, 137);
  pass(39s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLING) << "rank 2 may have its lease";
  EXPECT_EQ(job(id).generation(), 1);
  pass(2s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(job(id).state_reason(),
            "cancelled on request; its processes on host could not be reached: they end by themselves without the "
            "coordinator");
}

TEST_F(OnTwoHosts, CancelledAtOnceWhereMpirunHasEndedEverything) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 3);
  jobs().cancel(id);
  pass(5s);
  EXPECT_THAT(launcher_.terminated, IsEmpty()) << "mpirun may be ending the ranks over hosts, as one has left";
  pass(2s);
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  mpirun_exits(id, 1);
  EXPECT_EQ(job(id).state_reason(), "cancelled on request; its processes have ended");
}

// mpirun 4.1 crashes where it is asked to end while it ends its ranks, before its daemons have ended theirs.
TEST_F(OnTwoHosts, AnMpirunThatHasDiedMayHaveLeftRanks) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 3);
  jobs().cancel(id);
  pass(1s);
  mpirun_exits(id, 128 + SIGSEGV);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLING);
  pass(41s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
}

TEST_F(OnTwoHosts, SlotsOfALostHostStayTakenUntilItsRanksMustHaveEnded) {
  const auto id = running_job(v1::LAUNCH_MODE_COORDINATOR, 3);
  core_->attempts().handle_exit({.attempt = {.job_id = id, .generation = 1},
                                 .exit_code = 205,
                                 .last_line = "lost contact with node2",
                                 .lost_contact = true});
  EXPECT_EQ(job(id).state_reason(), "mpirun exited with code 205: lost contact with node2");
  const auto next = queued(3);
  pass(39s);
  EXPECT_EQ(job(next).state(), v1::JOB_STATE_QUEUED);
  pass(2s);
  EXPECT_EQ(job(next).state(), v1::JOB_STATE_STARTING);
  ASSERT_EQ(job(id).conditions_size(), 1);
  EXPECT_THAT(job(id).conditions(0), HasSubstr("could not be confirmed"));
}

TEST_F(AttemptSupervisorTest, AMistypedNumberOfRanksForksNothing) {
  settings_.supervisor.most_workers = 64;
  restart();
  EXPECT_EQ(error_of([&] { jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 16000))); }).text,
            "launch.workers is 16000, expected at most 64 on one machine; a coordinator with --hostfile uses more");
}

TEST_F(AttemptSupervisorTest, RanksStartedByHandThatNeverRegisterAreNamed) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 3))).id();
  calls().register_worker(registration(id, 0, 3));
  for (int second = 0; second < 121; ++second) {
    calls().heartbeat(heartbeat_request(id, 1, 0));
    pass(1s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("ranks 1 to 2 have not registered within 120 s"));
}

}  // namespace attempt_supervisor_test
}  // namespace equipoise::coordinator
