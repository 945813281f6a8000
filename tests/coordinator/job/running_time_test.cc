#include "coordinator/job/running_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace running_time_test {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(RunningTime, AddsUp) {
  v1::TrainingJob job;
  EXPECT_EQ(running_time(job), 0ms);
  for (int i = 0; i < 5; ++i) add_running_time(job, 700ms);
  add_running_time(job, 1us);
  EXPECT_EQ(running_time(job), 3500ms);
  EXPECT_EQ(job.running_time().seconds(), 3);
  EXPECT_EQ(job.running_time().nanos(), 500'001'000);
}

TEST(RunningTime, OnlyWhoHasUsedUpTheLimitGetsAsMuchAgain) {
  EXPECT_EQ(end_of_running_time(0ms, 10s), 10s);
  EXPECT_EQ(end_of_running_time(9999ms, 10s), 10s);
  EXPECT_EQ(end_of_running_time(10s, 10s), 20s);
  EXPECT_EQ(end_of_running_time(10100ms, 10s), 20s);
  EXPECT_EQ(end_of_running_time(1'000'000'000s, 1'000'000'000s), 2'000'000'000s);
}

class TimeLimit : public ControllerFixture {
 protected:
  std::string running(int limit_seconds, v1::LaunchMode mode = v1::LAUNCH_MODE_COORDINATOR) {
    v1::JobSpec spec = two_group_spec(mode, 1);
    if (mode == v1::LAUNCH_MODE_COORDINATOR) spec.mutable_launch()->set_max_restarts(1);
    spec.mutable_launch()->set_time_limit_seconds(limit_seconds);
    const std::string id = jobs().create(create_request(spec)).id();
    core_->attempts().tick();
    train(id);
    return id;
  }
  void train(const std::string& id) {
    auto request = register_request(id, 0, 0, 1);
    if (!launcher_.started.empty()) request.set_attempt_token(launcher_.started.back().token);
    calls().register_worker(request);
    auto start = start_request(id, job(id).generation());
    if (point_) *start.mutable_resume() = *point_;
    calls().start_training(start);
    core_->attempts().tick();  // from here on its time is counted
  }
  v1::HeartbeatResponse::Command beat(const std::string& id, const std::string& pause_failure = "") {
    auto request = heartbeat_request(id, job(id).generation(), 0);
    request.set_pause_failure(pause_failure);
    return calls().heartbeat(request).command();
  }
  void pass_with(const std::string& id, std::chrono::seconds duration) {
    for (std::chrono::seconds second{0}; second < duration; ++second) {
      pass(1s);
      beat(id);
    }
  }
  void leave(const std::string& id) {
    calls().report_step(step_request(id, job(id).generation(), job(id).step(), {0.2, 1.0}));
    point_ = checkpoint(id);
    v1::LeaveWorkerRequest request;
    request.set_job_id(id);
    request.set_generation(job(id).generation());
    request.set_step(point_->weights().steps());
    calls().leave_worker(request);
  }

  std::optional<v1::ResumePoint> point_;
};

TEST_F(TimeLimit, PausesTheJobAndEachResumeGivesItAsMuchAgain) {
  const auto id = running(40);
  for (int round = 1; round <= 3; ++round) {
    pass_with(id, 39s);
    ASSERT_EQ(job(id).state(), v1::JOB_STATE_RUNNING) << round;
    EXPECT_EQ(beat(id), v1::HeartbeatResponse::COMMAND_CONTINUE);
    pass(1s);
    ASSERT_EQ(job(id).state(), v1::JOB_STATE_PAUSING) << round;
    EXPECT_EQ(beat(id), v1::HeartbeatResponse::COMMAND_PAUSE);
    pass_with(id, 5s);  // a checkpoint takes time, which does not count
    leave(id);
    mpirun_exits(id, 0);
    EXPECT_EQ(job(id).state(), v1::JOB_STATE_PAUSED);
    EXPECT_THAT(job(id).state_reason(), HasSubstr("RUNNING for the 40 s of its time limit"));
    EXPECT_EQ(running_time(job(id)), 40s * round);
    pass(100s);
    restart();
    EXPECT_EQ(running_time(job(id)), 40s * round) << "it is stored";
    jobs().resume(id);
    core_->attempts().tick();
    ASSERT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
    pass(20s);  // nor does it count what is not RUNNING
    train(id);
  }
}

TEST_F(TimeLimit, CountsOverAttemptsAndALostCoordinator) {
  const auto id = running(100);
  pass_with(id, 45s);
  restart();  // 30 s of it are stored
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(running_time(job(id)), 30s);
  pass(10s);
  ASSERT_EQ(job(id).state(), v1::JOB_STATE_STARTING);
  train(id);
  pass_with(id, 69s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  pass(1s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_PAUSING);
}

TEST_F(TimeLimit, ACheckpointThatCannotBeWrittenIsTriedAgainAndGivesNoTime) {
  const auto id = running(10);
  pass_with(id, 10s);
  EXPECT_EQ(beat(id), v1::HeartbeatResponse::COMMAND_PAUSE);
  EXPECT_EQ(beat(id, "no room"), v1::HeartbeatResponse::COMMAND_CONTINUE);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  pass_with(id, 59s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  pass_with(id, 2s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_PAUSING);
}

TEST_F(TimeLimit, ANewCoordinatorGivesNoTimeToAJobThatCannotBePaused) {
  const auto id = running(10);
  pass_with(id, 10s);
  restart({{.job_id = id, .generation = 1}});
  ASSERT_EQ(beat(id, "no room"), v1::HeartbeatResponse::COMMAND_CONTINUE);
  ASSERT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  pass_with(id, 61s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_PAUSING);
  EXPECT_LT(running_time(job(id)), 80s);
}

TEST_F(TimeLimit, OfWorkersOfTheUserHoldsToo) {
  const auto id = running(10, v1::LAUNCH_MODE_EXTERNAL);
  pass_with(id, 10s);
  EXPECT_EQ(beat(id), v1::HeartbeatResponse::COMMAND_PAUSE);
  leave(id);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(error_of([&] { train(id); }).code, Refusal::Code::kFailedPrecondition);
  core_->attempts().tick();
  jobs().resume(id);
  train(id);
  EXPECT_EQ(job(id).generation(), 2);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
}

}  // namespace running_time_test
}  // namespace equipoise::coordinator
