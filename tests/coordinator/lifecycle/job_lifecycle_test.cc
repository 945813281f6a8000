#include "coordinator/lifecycle/job_lifecycle.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "common/protocol/job_state.h"

namespace equipoise::coordinator {
namespace job_lifecycle_test {

using namespace std::chrono_literals;

const WallTime kNow = WallTime{} + 1000s;

JobLifecycle job_in(v1::JobState state, LaunchedBy launched_by = LaunchedBy::kCoordinator) {
  return {.state = state, .reason = "as it was", .launched_by = launched_by};
}

v1::JobState state_after(const JobLifecycle& job, const JobEvent& event) { return next(job, event, kNow).state; }

const std::vector<JobEvent>& all_events() {
  static const std::vector<JobEvent> events = {
      AttemptLaunched{.generation = 1},
      AttemptRegistered{.generation = 1, .host = "h"},
      SlotsAwaited{.wanted = 2, .free = 1, .total = 3},
      RanksMissing{.text = "t"},
      LaunchRefused{.why = "w"},
      SpecRefused{.why = "w"},
      SetAside{.why = "w"},
      TrainingStarted{.total_steps = 5, .world_size = 1},
      RankFailed{.rank = 0, .reason = "r", .kind = v1::FAILURE_KIND_PROGRAM},
      RankSilent{.rank = 0, .host = "h", .seconds = 30},
      DigestsDiffer{.rank = 0, .other_rank = 1, .step = 5},
      RanksFinished{.world_size = 1},
      LauncherExited{.exit_code = 0, .last_line = "", .ranks_finished = 1, .world_size = 1},
      LauncherExited{.exit_code = 1, .last_line = "", .ranks_finished = 1, .world_size = 1},
      CancelRequested{},
      RanksLeft{},
      CoordinatorStopped{},
      CoordinatorRestarted{}};
  return events;
}

TEST(JobLifecycle, NothingMovesAFinalState) {
  for (const auto state : {v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED, v1::JOB_STATE_CANCELLED}) {
    for (const auto launched_by : {LaunchedBy::kCoordinator, LaunchedBy::kUser}) {
      for (const auto& event : all_events()) {
        const JobLifecycle after = next(job_in(state, launched_by), event, kNow);
        EXPECT_EQ(after.state, state) << event.index();
        EXPECT_EQ(after.reason, "as it was") << event.index();
      }
    }
  }
}

TEST(JobLifecycle, EveryMoveSaysWhyAndEveryEndSaysWhen) {
  for (const auto state :
       {v1::JOB_STATE_QUEUED, v1::JOB_STATE_STARTING, v1::JOB_STATE_RUNNING, v1::JOB_STATE_CANCELLING}) {
    for (const auto& event : all_events()) {
      const JobLifecycle after = next(job_in(state), event, kNow);
      const bool waits = state == v1::JOB_STATE_QUEUED && std::holds_alternative<SlotsAwaited>(event);
      EXPECT_EQ(after.reason == "as it was", after.state == state && !after.all_ranks_finished && !waits)
          << state << event.index();
      EXPECT_EQ(after.end_time == kNow, is_final(after.state)) << state << event.index();
      EXPECT_EQ(after.failure_kind != v1::FAILURE_KIND_UNSPECIFIED, after.state == v1::JOB_STATE_FAILED);
    }
  }
}

TEST(JobLifecycle, ALaunchedJobSucceedsOnlyWhenItsRanksFinishedAndMpirunExitedWithZero) {
  JobLifecycle job = job_in(v1::JOB_STATE_QUEUED);
  job = next(job, AttemptLaunched{.generation = 1}, kNow);
  EXPECT_EQ(job.state, v1::JOB_STATE_STARTING);
  job = next(job, TrainingStarted{.total_steps = 5, .world_size = 2}, kNow);
  EXPECT_EQ(job.state, v1::JOB_STATE_RUNNING);
  const LauncherExited good{.exit_code = 0, .last_line = "", .ranks_finished = 1, .world_size = 2};
  EXPECT_EQ(next(job, good, kNow).reason, "mpirun exited with code 0, but 1 of 2 ranks had finished training");
  job = next(job, RanksFinished{.world_size = 2}, kNow);
  EXPECT_EQ(job.state, v1::JOB_STATE_RUNNING);
  EXPECT_EQ(state_after(job, good), v1::JOB_STATE_SUCCEEDED);
  const LauncherExited bad{.exit_code = 139, .last_line = "Segmentation fault", .ranks_finished = 2, .world_size = 2};
  EXPECT_EQ(next(job, bad, kNow).reason, "mpirun exited with code 139: Segmentation fault");
  EXPECT_EQ(next(job, bad, kNow).failure_kind, v1::FAILURE_KIND_INFRASTRUCTURE);
}

TEST(JobLifecycle, AJobOfTheUsersWorkersSucceedsWhenAllRanksFinished) {
  const auto job = job_in(v1::JOB_STATE_RUNNING, LaunchedBy::kUser);
  EXPECT_EQ(state_after(job, RanksFinished{.world_size = 2}), v1::JOB_STATE_SUCCEEDED);
}

TEST(JobLifecycle, TheFirstReasonOfAnAttemptIsTheJobs) {
  const RankFailed first{.rank = 1, .reason = "train.jsonl:3: no", .kind = v1::FAILURE_KIND_INVALID_INPUT};
  const RankFailed second{.rank = 0, .reason = "peer went away", .kind = v1::FAILURE_KIND_INFRASTRUCTURE};
  const auto job = next(next(job_in(v1::JOB_STATE_RUNNING), first, kNow), second, kNow + 1s);
  EXPECT_EQ(job.reason, "rank 1: train.jsonl:3: no");
  EXPECT_EQ(job.failure_kind, v1::FAILURE_KIND_INVALID_INPUT);
  EXPECT_EQ(job.end_time, kNow);
}

TEST(JobLifecycle, CancelEndsAQueuedJobAtOnceAndOthersWithTheirProcesses) {
  EXPECT_EQ(state_after(job_in(v1::JOB_STATE_QUEUED), CancelRequested{}), v1::JOB_STATE_CANCELLED);
  for (const auto state : {v1::JOB_STATE_STARTING, v1::JOB_STATE_RUNNING, v1::JOB_STATE_CANCELLING}) {
    EXPECT_EQ(state_after(job_in(state), CancelRequested{}), v1::JOB_STATE_CANCELLING);
  }
  const LauncherExited killed{.exit_code = 143, .last_line = "", .ranks_finished = 0, .world_size = 2};
  EXPECT_EQ(state_after(job_in(v1::JOB_STATE_CANCELLING), killed), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(state_after(job_in(v1::JOB_STATE_CANCELLING, LaunchedBy::kUser), RanksLeft{}), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(state_after(job_in(v1::JOB_STATE_CANCELLING), RanksLeft{}), v1::JOB_STATE_CANCELLING);
}

TEST(JobLifecycle, ALostCoordinatorFailsWhatRanAndKeepsTheQueue) {
  EXPECT_EQ(state_after(job_in(v1::JOB_STATE_QUEUED), CoordinatorRestarted{}), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(state_after(job_in(v1::JOB_STATE_CANCELLING), CoordinatorRestarted{}), v1::JOB_STATE_CANCELLED);
  const auto job = next(job_in(v1::JOB_STATE_RUNNING), CoordinatorRestarted{}, kNow);
  EXPECT_EQ(job.state, v1::JOB_STATE_FAILED);
  EXPECT_EQ(job.reason, "the coordinator was lost while the job was RUNNING");
}

}  // namespace job_lifecycle_test
}  // namespace equipoise::coordinator
