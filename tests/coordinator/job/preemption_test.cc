// Jobs of several priorities on few slots: who starts, who makes room, and who goes on afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace preemption_test {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kContinue = v1::HeartbeatResponse::COMMAND_CONTINUE, kExit = v1::HeartbeatResponse::COMMAND_EXIT,
               kPause = v1::HeartbeatResponse::COMMAND_PAUSE;

class Preemption : public ControllerFixture {
 protected:
  // Two hosts of two slots, and as many jobs as there is room for.
  Preemption() {
    settings_.supervisor.hosts = {{.name = "north", .slots = 2}, {.name = "south", .slots = 2}};
    settings_.supervisor.max_running_jobs = 10;
    restart();
  }
  std::string submit(int workers, int priority, int max_restarts = 1) {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, workers);
    spec.mutable_launch()->set_max_restarts(max_restarts);
    spec.mutable_launch()->set_priority(priority);
    return jobs().create(create_request(spec)).id();
  }
  const LaunchRequest& launch_of(const std::string& id) {
    for (const LaunchRequest& request : launcher_.started) {
      if (request.attempt.job_id == id && request.attempt.generation == job(id).generation()) return request;
    }
    throw std::runtime_error("job " + id + " was not launched");
  }
  void train(const std::string& id, const std::optional<v1::ResumePoint>& resume = std::nullopt) {
    const std::int64_t generation = job(id).generation();
    for (int rank = 0; rank < job(id).world_size(); ++rank) {
      auto request = register_request(id, rank == 0 ? 0 : generation, rank, job(id).world_size());
      request.set_attempt_token(launch_of(id).token);
      calls().register_worker(request);
    }
    auto request = start_request(id, generation);
    if (resume) *request.mutable_resume() = *resume;
    calls().start_training(request);
  }
  void steps(const std::string& id, int number) {
    for (int i = 0; i < number; ++i) {
      calls().report_step(step_request(id, job(id).generation(), job(id).step(), {0.2, 1.0}));
    }
  }
  std::string running(int workers, int priority, int max_restarts = 1) {
    const std::string id = submit(workers, priority, max_restarts);
    core_->attempts().tick();
    train(id);
    steps(id, 2);
    return id;
  }
  v1::HeartbeatResponse beat(const std::string& id, int rank = 0, const std::string& pause_failure = "") {
    auto request = heartbeat_request(id, job(id).generation(), rank);
    request.set_pause_failure(pause_failure);
    return calls().heartbeat(request);
  }
  // Heartbeats of all its ranks keep it from being lost.
  void pass_with(const std::string& id, std::chrono::seconds duration) {
    for (std::chrono::seconds second{0}; second < duration; ++second) {
      for (int rank = 0; rank < job(id).world_size(); ++rank) beat(id, rank);
      pass(1s);
    }
  }
  // With a checkpoint, and mpirun with them.
  v1::ResumePoint leave(const std::string& id) {
    v1::ResumePoint point = checkpoint(id);
    for (int rank = 0; rank < job(id).world_size(); ++rank) {
      v1::LeaveWorkerRequest request;
      request.set_job_id(id);
      request.set_generation(job(id).generation());
      request.set_rank(rank);
      request.set_step(point.weights().steps());
      calls().leave_worker(request);
    }
    mpirun_exits(id, 0);
    return point;
  }
  void finish(const std::string& id) {
    steps(id, static_cast<int>(10 - job(id).step()));
    for (int rank = 0; rank < job(id).world_size(); ++rank) {
      calls().finish_worker(finish_request(id, job(id).generation(), rank, 'x'));
    }
    mpirun_exits(id, 0);
  }
  v1::JobState state(const std::string& id) { return job(id).state(); }
  std::string reason(const std::string& id) { return job(id).state_reason(); }
};

TEST_F(Preemption, AHigherPriorityStartsFirst) {
  const auto low = submit(4, 0), high = submit(4, 7);
  EXPECT_EQ(job(high).priority(), 7);
  core_->attempts().tick();
  EXPECT_EQ(state(high), v1::JOB_STATE_STARTING);
  EXPECT_EQ(state(low), v1::JOB_STATE_QUEUED);
}

TEST_F(Preemption, ACoordinatorThatTakesOverAJobThatMakesRoomLearnsForWhichOne) {
  const auto low = running(4, 0);
  const auto high = submit(2, 1);
  core_->attempts().tick();
  restart({{.job_id = low, .generation = 1}});
  core_->attempts().tick();
  EXPECT_EQ(beat(low).command(), kPause);
  leave(low);
  EXPECT_EQ(state(low), v1::JOB_STATE_QUEUED);
  EXPECT_THAT(reason(low), HasSubstr("preempted at step 2 by job " + high));
}

TEST_F(Preemption, TheTimeToLeaveDoesNotRunWhileTheMachineIsStopped) {
  const auto low = running(4, 0);
  submit(2, 1);
  core_->attempts().tick();
  clock_.advance(1h);
  core_->attempts().tick();
  EXPECT_EQ(state(low), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(beat(low).command(), kPause);
}

TEST_F(Preemption, ARunningJobMakesRoomAndGoesOnFromItsCheckpoint) {
  const auto low = running(4, 0);
  const auto high = submit(2, 1);
  core_->attempts().tick();
  EXPECT_EQ(beat(low).command(), kPause);
  EXPECT_EQ(reason(low),
            "its ranks make a checkpoint and leave, as job " + high + " of a higher priority needs the room");
  EXPECT_EQ(reason(high), "waiting for " + low + " to make room");
  EXPECT_THAT(launcher_.started, SizeIs(1));
  const auto point = leave(low);
  EXPECT_EQ(state(low), v1::JOB_STATE_QUEUED);
  EXPECT_THAT(reason(low), HasSubstr("preempted at step 2 by job " + high));
  core_->attempts().tick();
  EXPECT_EQ(state(high), v1::JOB_STATE_STARTING);
  EXPECT_EQ(state(low), v1::JOB_STATE_QUEUED);
  EXPECT_THAT(reason(low), HasSubstr("waiting for 4 free slots; 2 of 4 are free"));
  train(high);
  finish(high);
  EXPECT_EQ(state(high), v1::JOB_STATE_SUCCEEDED);
  core_->attempts().tick();
  ASSERT_EQ(state(low), v1::JOB_STATE_STARTING);
  train(low, point);
  EXPECT_EQ(job(low).step(), 2);
  EXPECT_EQ(job(low).restarts(), 1);
  finish(low);
  EXPECT_EQ(state(low), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(Preemption, OnlyAsManyLeaveAsAreNeededTheLowestFirst) {
  const auto lowest = running(2, -3), low = running(2, 0);
  const auto high = submit(2, 4);
  core_->attempts().tick();
  EXPECT_EQ(beat(lowest).command(), kPause);
  EXPECT_EQ(beat(low).command(), kContinue);
  leave(lowest);
  core_->attempts().tick();
  EXPECT_EQ(state(high), v1::JOB_STATE_STARTING);
  EXPECT_EQ(beat(low).command(), kContinue);
}

TEST_F(Preemption, NobodyLeavesForAnEqualPriorityOrForNothing) {
  const auto first = running(2, 3), second = running(2, 5);
  submit(2, 3);
  submit(4, 4);  // would need the room of both
  pass_with(second, 3s);
  EXPECT_EQ(beat(first).command(), kContinue);
  EXPECT_EQ(beat(second).command(), kContinue);
}

// One that loads a large model holds its slots for long.
TEST_F(Preemption, AJobThatHasDoneNoStepIsEndedAndUsesUpNoRestart) {
  const auto low = submit(4, 0, 0);
  core_->attempts().tick();
  ASSERT_EQ(state(low), v1::JOB_STATE_STARTING);
  const auto high = submit(4, 1);
  core_->attempts().tick();
  EXPECT_EQ(state(low), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(reason(low), HasSubstr("job " + high + " of a higher priority needs the room, and the attempt had done"));
  EXPECT_EQ(reason(high), "waiting for " + low + " to make room");
  EXPECT_FALSE(job(low).has_failure());
  EXPECT_EQ(store_->attempts(low).at(0).state, "PREEMPTED");
  EXPECT_THAT(launcher_.started, SizeIs(1)) << "its processes are there yet";
  pass(7s);
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  mpirun_exits(low, 143);
  pass(1s);
  ASSERT_EQ(state(high), v1::JOB_STATE_STARTING);
  train(high);
  finish(high);
  pass(2s);
  ASSERT_EQ(state(low), v1::JOB_STATE_STARTING);
  EXPECT_EQ(job(low).restarts(), 1);
  train(low);
  finish(low);
  EXPECT_EQ(state(low), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(Preemption, AJobThatReadsItsDataIsToldToEnd) {
  const auto low = submit(4, 0);
  core_->attempts().tick();
  train(low);  // and has done no step
  submit(4, 1);
  core_->attempts().tick();
  EXPECT_EQ(state(low), v1::JOB_STATE_RECOVERING);
  for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(beat(low, rank).command(), kExit);
}

TEST_F(Preemption, AnAttemptThatHasDoneNoStepYetGoesOnFromTheCheckpointOfTheOneBefore) {
  const auto low = running(4, 0, 1);
  const auto point = checkpoint(low);
  steps(low, 1);
  mpirun_exits(low, 1);
  pass(2s);
  ASSERT_EQ(state(low), v1::JOB_STATE_STARTING);
  train(low, point);
  const auto high = submit(4, 1);
  core_->attempts().tick();
  ASSERT_EQ(state(low), v1::JOB_STATE_RECOVERING);
  mpirun_exits(low, 1);
  restart();  // what is on record says so, too
  EXPECT_EQ(state(low), v1::JOB_STATE_RECOVERING);
  pass(1s);
  ASSERT_EQ(state(high), v1::JOB_STATE_STARTING);
  train(high);
  finish(high);
  pass(60s);
  ASSERT_EQ(state(low), v1::JOB_STATE_STARTING) << reason(low);
  train(low, point);
  EXPECT_EQ(job(low).step(), 2);
  mpirun_exits(low, 1);
  EXPECT_EQ(state(low), v1::JOB_STATE_FAILED) << "the second failure, as one restart is allowed";
}

TEST_F(Preemption, APlaceAmongTheRunningJobsIsRoomToo) {
  settings_.supervisor.hosts.clear();
  settings_.supervisor.max_running_jobs = 1;
  restart();
  const auto low = running(1, 0);
  const auto high = submit(1, 1);
  core_->attempts().tick();
  EXPECT_EQ(beat(low).command(), kPause);
  leave(low);
  core_->attempts().tick();
  EXPECT_EQ(state(high), v1::JOB_STATE_STARTING);
  EXPECT_EQ(state(low), v1::JOB_STATE_QUEUED);
}

TEST_F(Preemption, RanksThatDoNotLeaveInTimeAreEnded) {
  const auto low = running(4, 0, 0);
  const auto high = submit(2, 1);
  core_->attempts().tick();
  pass_with(low, 120s);
  EXPECT_EQ(state(low), v1::JOB_STATE_RUNNING);
  pass_with(low, 1s);
  EXPECT_EQ(state(low), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(reason(low), HasSubstr("the ranks had not left within 120 s"));
  EXPECT_EQ(beat(low).command(), kExit);
  pass(7s);
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  pass(11s);
  EXPECT_THAT(launcher_.killed, SizeIs(1));
  mpirun_exits(low, 137);
  pass(60s);  // ranks on other hosts may go on after mpirun was killed
  EXPECT_EQ(state(high), v1::JOB_STATE_STARTING);
  EXPECT_EQ(state(low), v1::JOB_STATE_RECOVERING);
  train(high);
  steps(high, 1);
  finish(high);
  core_->attempts().tick();
  EXPECT_EQ(state(low), v1::JOB_STATE_STARTING);
}

TEST_F(Preemption, ACheckpointThatCannotBeWrittenIsTriedAgainAfterAMinute) {
  const auto low = running(4, 0);
  const auto high = submit(2, 1);
  core_->attempts().tick();
  EXPECT_EQ(beat(low, 0, "no room").command(), kContinue);
  EXPECT_THAT(job(low).conditions(), Contains("could not leave after step 2: no room"));
  EXPECT_EQ(reason(low), "training goes on, as its ranks could not leave: no room");
  pass_with(low, 50s);
  EXPECT_EQ(beat(low).command(), kContinue);
  pass_with(low, 11s);
  EXPECT_EQ(beat(low).command(), kPause);
  EXPECT_EQ(state(high), v1::JOB_STATE_QUEUED);
}

TEST_F(Preemption, ALargeJobIsNotOvertakenBySmallOnesOfItsPriority) {
  const auto first = running(2, 0);
  const auto large = submit(4, 0), small = submit(1, 0);
  core_->attempts().tick();
  EXPECT_EQ(state(small), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(reason(large), "waiting for 4 free slots; 2 of 4 are free");
  finish(first);
  core_->attempts().tick();
  EXPECT_EQ(state(large), v1::JOB_STATE_STARTING);
  EXPECT_EQ(state(small), v1::JOB_STATE_QUEUED);
}

TEST_F(Preemption, APreemptedJobSurvivesTheCoordinator) {
  const auto low = running(4, 0);
  const auto high = submit(4, 1);
  core_->attempts().tick();
  const auto point = leave(low);
  restart();
  EXPECT_EQ(state(low), v1::JOB_STATE_QUEUED);
  EXPECT_THAT(launcher_.started, IsEmpty());
  pass(1s);
  ASSERT_EQ(state(high), v1::JOB_STATE_STARTING);
  train(high);
  finish(high);
  pass(45s);
  ASSERT_EQ(state(low), v1::JOB_STATE_STARTING);
  train(low, point);
  EXPECT_EQ(job(low).step(), 2);
}

}  // namespace preemption_test
}  // namespace equipoise::coordinator
