#include "coordinator/lifecycle/job_lifecycle.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
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

// One by one: a list of so many variants takes GCC 12 gigabytes.
std::vector<JobEvent> all_events() {
  std::vector<JobEvent> events;
  events.emplace_back(AttemptLaunched{.generation = 1});
  events.emplace_back(AttemptRegistered{.generation = 1, .host = "h"});
  events.emplace_back(SlotsAwaited{.wanted = 2, .free = 1, .total = 3});
  events.emplace_back(RanksMissing{.text = "t"});
  events.emplace_back(RanksNotBack{.text = "t"});
  events.emplace_back(LaunchRefused{.why = "w"});
  events.emplace_back(LaunchRefused{.why = "w", .was_interrupted = true});
  events.emplace_back(SpecRefused{.why = "w"});
  events.emplace_back(SetAside{.why = "w"});
  events.emplace_back(TrainingStarted{.total_steps = 5, .world_size = 1});
  events.emplace_back(RankFailed{.rank = 0, .reason = "r", .kind = v1::FAILURE_KIND_PROGRAM});
  events.emplace_back(RankSilent{.rank = 0, .host = "h", .seconds = 30});
  events.emplace_back(RankStalled{.rank = 0, .text = "t"});
  events.emplace_back(DigestsDiffer{.rank = 0, .other_rank = 1, .step = 5});
  events.emplace_back(RanksFinished{.world_size = 1});
  events.emplace_back(LauncherExited{.exit_code = 0, .last_line = "", .ranks_finished = 1, .world_size = 1});
  events.emplace_back(LauncherExited{.exit_code = 1, .last_line = "", .ranks_finished = 1, .world_size = 1});
  events.emplace_back(CancelRequested{});
  events.emplace_back(RanksLeft{});
  events.emplace_back(HostsAwaited{.hosts = "h"});
  events.emplace_back(PauseRequested{});
  events.emplace_back(PauseRequested{.has_processes = true});
  events.emplace_back(ResumeRequested{});
  events.emplace_back(RanksPaused{.step = 5});
  events.emplace_back(PauseFailed{.why = "w"});
  events.emplace_back(ProcessesEnded{});
  events.emplace_back(CoordinatorStopped{});
  events.emplace_back(CoordinatorRestarted{});
  events.emplace_back(RoomAwaited{.jobs = "a, b"});
  events.emplace_back(MachineAwaited{.why = "here, where a rank is"});
  events.emplace_back(Preempted{.by = "b"});
  events.emplace_back(PreemptionOverdue{.seconds = 120});
  events.emplace_back(TimeLimitReached{.seconds = 60});
  events.emplace_back(CoordinatorStopping{});
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
      const bool waits = state == v1::JOB_STATE_QUEUED &&
                         (std::holds_alternative<SlotsAwaited>(event) || std::holds_alternative<RoomAwaited>(event) ||
                          std::holds_alternative<MachineAwaited>(event));
      const bool ends = after.all_ranks_finished || after.left_at_step || !after.preempted_by.empty() ||
                        after.stop != CoordinatorStop::kNone;
      EXPECT_EQ(after.reason == "as it was", after.state == state && !ends && !waits) << state << event.index();
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
  EXPECT_EQ(next(job, good, kNow).failure_kind, v1::FAILURE_KIND_PROGRAM);
  // As Open MPI 5 does it.
  const LauncherExited without_a_host{.exit_code = 0,
                                      .last_line = "lost contact with node2",
                                      .ranks_finished = 1,
                                      .world_size = 2,
                                      .lost_contact = true};
  EXPECT_EQ(next(job, without_a_host, kNow).reason, "mpirun exited with code 0: lost contact with node2");
  EXPECT_EQ(next(job, without_a_host, kNow).failure_kind, v1::FAILURE_KIND_INFRASTRUCTURE);
  const auto pausing = next(job, PauseRequested{}, kNow);
  EXPECT_EQ(pausing.state, v1::JOB_STATE_PAUSING);
  EXPECT_EQ(state_after(pausing, without_a_host), v1::JOB_STATE_PAUSED);
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

// Data that were changed during a pause, or a disk that is not mounted any more.
TEST(JobLifecycle, InputsThatWereReadBeforeAndAreRefusedNowPauseTheJob) {
  const RankFailed refused{.rank = 0, .reason = "train.jsonl is gone", .kind = v1::FAILURE_KIND_INVALID_INPUT};
  auto job = job_in(v1::JOB_STATE_STARTING);
  job.generation = 1;
  EXPECT_EQ(state_after(job, refused), v1::JOB_STATE_FAILED) << "nobody has read them yet";
  job = next(job, TrainingStarted{.total_steps = 5, .world_size = 1}, kNow);
  EXPECT_EQ(state_after(job, refused), v1::JOB_STATE_FAILED) << "in the middle of the training";
  job.left_at_step = 3;
  job = next(next(job, PauseRequested{}, kNow), ProcessesEnded{}, kNow);
  ASSERT_EQ(job.state, v1::JOB_STATE_PAUSED);
  job = next(next(job, ResumeRequested{}, kNow), AttemptLaunched{.generation = 2}, kNow);
  job.generation = 2;
  // Others may have told first that they have lost a peer.
  job.max_restarts = 3;
  const RankFailed follows{.rank = 1, .reason = "peer went away", .kind = v1::FAILURE_KIND_INFRASTRUCTURE};
  for (auto paused : {next(job, refused, kNow), next(next(job, follows, kNow), refused, kNow)}) {
    EXPECT_EQ(paused.state, v1::JOB_STATE_PAUSING);
    EXPECT_EQ(paused.failure->kind, v1::FAILURE_KIND_INVALID_INPUT);
    EXPECT_EQ(paused.failure->rank, 0);
    EXPECT_EQ(paused.failure_kind, v1::FAILURE_KIND_UNSPECIFIED) << "of jobs that are over";
    paused = next(paused, ProcessesEnded{}, kNow);
    EXPECT_EQ(paused.state, v1::JOB_STATE_PAUSED);
    EXPECT_EQ(paused.reason,
              "paused, as its inputs are refused, which an earlier attempt had read: rank 0: train.jsonl is gone; once "
              "they are as they were, `jobs resume` goes on");
    EXPECT_EQ(state_after(paused, ResumeRequested{}), v1::JOB_STATE_QUEUED);
  }
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

constexpr auto kQueued = v1::JOB_STATE_QUEUED, kStarting = v1::JOB_STATE_STARTING, kRunning = v1::JOB_STATE_RUNNING,
               kRecovering = v1::JOB_STATE_RECOVERING, kCancelling = v1::JOB_STATE_CANCELLING,
               kCancelled = v1::JOB_STATE_CANCELLED, kFailed = v1::JOB_STATE_FAILED, kPausing = v1::JOB_STATE_PAUSING,
               kPaused = v1::JOB_STATE_PAUSED, kSucceeded = v1::JOB_STATE_SUCCEEDED;

// That may start again, and whose second attempt it is.
JobLifecycle recoverable_job_in(v1::JobState state) {
  JobLifecycle job = job_in(state);
  job.max_restarts = 3;
  job.generation = 2;
  job.has_trained = true;
  job.has_newest_trained = state != kStarting;
  return job;
}

RankFailed failure_of_kind(v1::FailureKind kind) { return {.rank = 0, .reason = "r", .kind = kind}; }
LauncherExited exit_with(int code) {
  return {.exit_code = code, .last_line = "", .ranks_finished = 0, .world_size = 1};
}

using States = std::array<v1::JobState, 7>;  // from QUEUED, STARTING, RUNNING, RECOVERING, PAUSING, PAUSED, CANCELLING

// One call an event: a list of so many variants takes GCC 12 gigabytes.
void expect_states(const JobEvent& event, const States& after_each) {
  const States before = {kQueued, kStarting, kRunning, kRecovering, kPausing, kPaused, kCancelling};
  for (std::size_t i = 0; i < before.size(); ++i) {
    const JobLifecycle after = next(recoverable_job_in(before[i]), event, kNow);
    EXPECT_EQ(after.state, after_each[i]) << "event " << event.index() << " in " << state_name(before[i]);
    EXPECT_EQ(after.end_time == kNow, is_final(after.state));
    EXPECT_EQ(after.failure_kind != v1::FAILURE_KIND_UNSPECIFIED, after.state == kFailed);
    EXPECT_TRUE(after.state == before[i] || after.reason != "as it was");
  }
}

TEST(JobRecovery, EveryEventInEveryState) {
  const States unmoved = {kQueued, kStarting, kRunning, kRecovering, kPausing, kPaused, kCancelling};
  const States started_again = {kQueued, kRecovering, kRecovering, kRecovering, kPausing, kPaused, kCancelling};
  const States ended = {kQueued, kFailed, kFailed, kFailed, kFailed, kPaused, kCancelling};
  expect_states(AttemptLaunched{.generation = 3},
                {kStarting, kStarting, kRunning, kStarting, kPausing, kPaused, kCancelling});
  expect_states(SlotsAwaited{.wanted = 2, .free = 1, .total = 3}, unmoved);
  expect_states(HostsAwaited{.hosts = "h"}, unmoved);
  expect_states(RoomAwaited{.jobs = "a"}, unmoved);
  expect_states(MachineAwaited{.why = "here, where a rank is"}, unmoved);
  expect_states(Preempted{.by = "b"}, {kQueued, kRecovering, kRunning, kRecovering, kPausing, kPaused, kCancelling});
  expect_states(Preempted{.by = "b", .has_stepped = false},
                {kQueued, kRecovering, kRecovering, kRecovering, kPausing, kPaused, kCancelling});
  expect_states(PreemptionOverdue{.seconds = 120}, unmoved);
  expect_states(TimeLimitReached{.seconds = 60},
                {kQueued, kStarting, kPausing, kRecovering, kPausing, kPaused, kCancelling});
  expect_states(RanksMissing{.text = "t"}, started_again);
  expect_states(RanksNotBack{.text = "t"}, started_again);
  expect_states(LaunchRefused{.why = "w"}, started_again);
  expect_states(SpecRefused{.why = "w"}, {kFailed, kStarting, kRunning, kFailed, kFailed, kFailed, kCancelling});
  expect_states(SetAside{.why = "w"}, {kFailed, kFailed, kFailed, kFailed, kFailed, kFailed, kFailed});
  expect_states(TrainingStarted{.total_steps = 5, .world_size = 1},
                {kQueued, kRunning, kRunning, kRecovering, kPausing, kPaused, kCancelling});
  expect_states(failure_of_kind(v1::FAILURE_KIND_INFRASTRUCTURE), started_again);
  expect_states(failure_of_kind(v1::FAILURE_KIND_INVALID_INPUT),
                {kQueued, kPausing, kFailed, kFailed, kFailed, kPaused, kCancelling});
  expect_states(failure_of_kind(v1::FAILURE_KIND_PROGRAM), ended);
  expect_states(failure_of_kind(v1::FAILURE_KIND_UNSPECIFIED), ended);
  expect_states(RankSilent{.rank = 0, .host = "h", .seconds = 30}, started_again);
  expect_states(DigestsDiffer{.rank = 0, .other_rank = 1, .step = 5},
                {kQueued, kFailed, kFailed, kRecovering, kFailed, kPaused, kCancelling});
  expect_states(RanksFinished{.world_size = 1}, unmoved);
  expect_states(exit_with(0), {kQueued, kFailed, kFailed, kRecovering, kFailed, kPaused, kCancelled});
  expect_states(exit_with(1), {kQueued, kRecovering, kRecovering, kRecovering, kPaused, kPaused, kCancelled});
  expect_states(CancelRequested{},
                {kCancelled, kCancelling, kCancelling, kCancelled, kCancelling, kCancelled, kCancelling});
  expect_states(CancelRequested{.has_processes = true},
                {kCancelled, kCancelling, kCancelling, kCancelling, kCancelling, kCancelled, kCancelling});
  expect_states(PauseRequested{}, {kPaused, kPausing, kPausing, kPaused, kPausing, kPaused, kCancelling});
  expect_states(PauseRequested{.has_processes = true},
                {kPaused, kPausing, kPausing, kPausing, kPausing, kPaused, kCancelling});
  expect_states(ResumeRequested{}, {kQueued, kStarting, kRunning, kRecovering, kPausing, kQueued, kCancelling});
  expect_states(RanksPaused{.step = 5}, unmoved);
  expect_states(PauseFailed{.why = "w"}, {kQueued, kStarting, kRunning, kRecovering, kRunning, kPaused, kCancelling});
  expect_states(ProcessesEnded{}, unmoved);
  expect_states(RanksLeft{}, unmoved);
  expect_states(CoordinatorStopping{}, unmoved);
  expect_states(CoordinatorStopped{}, {kQueued, kRecovering, kRecovering, kRecovering, kPaused, kPaused, kCancelled});
  expect_states(CoordinatorStopped{.for_good = true},
                {kQueued, kFailed, kFailed, kFailed, kPaused, kPaused, kCancelled});
  expect_states(CoordinatorRestarted{}, {kQueued, kRecovering, kRecovering, kRecovering, kPaused, kPaused, kCancelled});
}

TEST(JobPreemption, RanksThatLeaveMakeTheJobQueuedAgain) {
  const JobLifecycle asked = next(recoverable_job_in(kRunning), Preempted{.by = "urgent"}, kNow);
  EXPECT_EQ(asked.reason, "its ranks make a checkpoint and leave, as job urgent of a higher priority needs the room");
  const JobLifecycle left = next(asked, RanksPaused{.step = 5}, kNow);
  EXPECT_EQ(left.state, kRunning);
  const JobLifecycle queued = next(left, exit_with(0), kNow);
  EXPECT_EQ(queued.state, kQueued);
  EXPECT_EQ(queued.reason,
            "preempted at step 5 by job urgent of a higher priority, with a checkpoint; waiting for a free place");
  EXPECT_TRUE(queued.failures.empty());
  EXPECT_EQ(
      next(queued, SlotsAwaited{.wanted = 2, .free = 1, .total = 2}, kNow).reason,
      "preempted at step 5 by job urgent of a higher priority, with a checkpoint; waiting for 2 free slots; 1 of 2 "
      "is free");
  const JobLifecycle started = next(queued, AttemptLaunched{.generation = 3}, kNow);
  EXPECT_EQ(started.state, kStarting);
  EXPECT_TRUE(started.preempted_by.empty() && started.preemption.empty());
}

// Also of a job that a failure of its own would end.
TEST(JobPreemption, RanksThatDoNotLeaveAreLostThroughNoFaultOfTheJobs) {
  JobLifecycle job = recoverable_job_in(kRunning);
  job.max_restarts = 0;
  job = next(job, Preempted{.by = "urgent"}, kNow);
  job = next(job, PreemptionOverdue{.seconds = 120}, kNow);
  EXPECT_EQ(job.state, kRecovering);
  EXPECT_EQ(job.reason.find("job urgent of a higher priority needs the room, and the ranks had not left within 120 s"),
            0U)
      << job.reason;
  ASSERT_EQ(job.failures.size(), 1U);
  EXPECT_EQ(job.failures[0].restart_cause, RestartCause::kPreemption);
  EXPECT_EQ(state_after(job, exit_with(137)), kRecovering);
  EXPECT_EQ(state_after(job, CoordinatorStopped{}), kRecovering);
}

// What its ranks and mpirun say while they are ended is no failure.
TEST(JobPreemption, AnAttemptWithoutAStepIsEndedAndHasNotFailed) {
  JobLifecycle job = recoverable_job_in(kStarting);
  job.max_restarts = 0;
  job = next(job, Preempted{.by = "urgent"}, kNow);
  EXPECT_EQ(job.state, kRecovering);
  EXPECT_EQ(
      job.reason.find("job urgent of a higher priority needs the room, and the attempt had done no step; attempt"), 0U)
      << job.reason;
  EXPECT_FALSE(job.failure);
  EXPECT_EQ(failures_by(job.failures, RestartCause::kInfrastructure), 0U);
  for (const JobEvent& end : std::vector<JobEvent>{exit_with(137), exit_with(1), RanksMissing{.text = "t"},
                                                   failure_of_kind(v1::FAILURE_KIND_INFRASTRUCTURE)}) {
    EXPECT_EQ(state_after(job, end), kRecovering) << end.index();
  }
  EXPECT_EQ(state_after(job, CoordinatorRestarted{}), kRecovering);
  const JobLifecycle started = next(job, AttemptLaunched{.generation = 3}, kNow);
  EXPECT_TRUE(started.preempted_by.empty());
}

TEST(JobPreemption, IsOffWhereTheCheckpointCannotBeWrittenOrThePauseIsOfPeople) {
  const JobLifecycle asked = next(recoverable_job_in(kRunning), Preempted{.by = "urgent"}, kNow);
  const JobLifecycle goes_on = next(asked, PauseFailed{.why = "no room"}, kNow);
  EXPECT_EQ(goes_on.state, kRunning);
  EXPECT_EQ(goes_on.reason, "training goes on, as its ranks could not leave: no room");
  EXPECT_TRUE(goes_on.preempted_by.empty());
  JobLifecycle paused = next(asked, PauseRequested{}, kNow);
  paused = next(paused, RanksPaused{.step = 5}, kNow);
  EXPECT_EQ(state_after(paused, exit_with(0)), kPaused);
}

TEST(JobTimeLimit, PausesAJobAndSaysWhyUntilItIsResumed) {
  const JobLifecycle pausing = next(recoverable_job_in(kRunning), TimeLimitReached{.seconds = 60}, kNow);
  EXPECT_EQ(pausing.reason,
            "pausing, as it has been RUNNING for the 60 s of its time limit; its ranks make a checkpoint and leave");
  EXPECT_TRUE(awaits_checkpoint(pausing));
  const JobLifecycle paused = next(next(pausing, RanksPaused{.step = 5}, kNow), exit_with(0), kNow);
  EXPECT_EQ(paused.state, kPaused);
  EXPECT_EQ(
      paused.reason,
      "paused at step 5 with a checkpoint; it has been RUNNING for the 60 s of its time limit, and a resume gives "
      "it as much again");
  EXPECT_EQ(next(paused, ResumeRequested{}, kNow).state, kQueued);
  EXPECT_TRUE(paused.pause_cause.empty());
  const JobLifecycle lost = next(pausing, exit_with(137), kNow);
  EXPECT_EQ(lost.state, kPaused);
  EXPECT_NE(lost.reason.find("of its time limit"), std::string::npos) << lost.reason;
  const JobLifecycle goes_on = next(pausing, PauseFailed{.why = "no room"}, kNow);
  EXPECT_EQ(goes_on.state, kRunning);
  EXPECT_TRUE(goes_on.pause_cause.empty());
}

// Whoever starts its ranks starts them again once it is resumed.
TEST(JobTimeLimit, PausesAJobOfTheUsersWorkersToo) {
  JobLifecycle job = next(job_in(kRunning, LaunchedBy::kUser), TimeLimitReached{.seconds = 60}, kNow);
  EXPECT_EQ(job.state, kPausing);
  job = next(job, RanksPaused{.step = 5}, kNow);
  EXPECT_EQ(job.state, kPaused);
  EXPECT_EQ(
      job.reason,
      "paused at step 5 with a checkpoint; it has been RUNNING for the 60 s of its time limit, and a resume gives "
      "it as much again");
  EXPECT_EQ(next(job, ResumeRequested{}, kNow).reason, "resumed on request; waiting for its workers to register");
}

// Of an attempt that had been another coordinator's.
TEST(JobRecovery, WhatRanksCouldNotSayIsNoFaultOfTheJobs) {
  LauncherExited exit = exit_with(0);
  exit.was_taken_over = true;
  expect_states(exit, {kQueued, kRecovering, kRecovering, kRecovering, kPaused, kPaused, kCancelled});
  exit = exit_with(75);
  exit.was_taken_over = exit.was_away = true;
  const JobLifecycle job = next(recoverable_job_in(kRunning), exit, kNow);
  EXPECT_EQ(job.state, kRecovering);
  EXPECT_EQ(job.restart_cause, RestartCause::kCoordinator);
  EXPECT_FALSE(job.failures.back().is_of_the_job);
  EXPECT_EQ(job.reason.find("the coordinator was away for longer than its ranks wait; "), 0U);
  // Beside its coordinator a rank ends like this where the network is at fault.
  exit.was_away = false;
  EXPECT_EQ(next(recoverable_job_in(kRunning), exit, kNow).restart_cause, RestartCause::kInfrastructure);
}

// launch.max_restarts 0, and every job whose ranks the user starts.
TEST(JobRecovery, AJobWithoutRestartsEndsWithItsFirstFailure) {
  JobLifecycle job = recoverable_job_in(kRunning);
  job.max_restarts = 0;
  const auto lost =
      next(job, LauncherExited{.exit_code = 137, .last_line = "killed", .ranks_finished = 0, .world_size = 1}, kNow);
  EXPECT_EQ(lost.state, kFailed);
  EXPECT_EQ(lost.reason, "mpirun exited with code 137: killed");
  EXPECT_EQ(lost.failure_kind, v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_EQ(next(job, CoordinatorStopped{}, kNow).reason, "the coordinator was stopped while the job was RUNNING");
  EXPECT_EQ(next(job, CoordinatorRestarted{}, kNow).reason, "the coordinator was lost while the job was RUNNING");
}

TEST(JobRecovery, WhatNeverWorkedIsNotTriedAgain) {
  JobLifecycle job = recoverable_job_in(kStarting);
  job.generation = 1;
  EXPECT_EQ(state_after(job, LaunchRefused{.why = "no such file"}), kFailed);
  EXPECT_EQ(state_after(job, LaunchRefused{.why = "killed", .was_interrupted = true}), kRecovering);
  job.has_trained = false;
  EXPECT_EQ(state_after(job, RanksMissing{.text = "t"}), kFailed);
}

TEST(JobRecovery, AnAttemptThatHadFinishedIsDoneAgain) {
  JobLifecycle job = next(recoverable_job_in(kRunning), RanksFinished{.world_size = 1}, kNow);
  ASSERT_TRUE(job.all_ranks_finished);
  job = next(job, exit_with(139), kNow);
  EXPECT_EQ(job.state, kRecovering);
  EXPECT_FALSE(job.all_ranks_finished);
}

TEST(JobRecovery, TheCauseIsToldApart) {
  const JobLifecycle job = recoverable_job_in(kRunning);
  EXPECT_EQ(next(job, exit_with(143), kNow).restart_cause, RestartCause::kPreemption);
  EXPECT_EQ(next(job, exit_with(137), kNow).restart_cause, RestartCause::kInfrastructure);
  EXPECT_EQ(next(job, CoordinatorRestarted{}, kNow).restart_cause, RestartCause::kCoordinator);
  EXPECT_EQ(next(job, CoordinatorStopped{}, kNow).restart_cause, RestartCause::kCoordinator);
}

TEST(JobRecovery, APreemptionUsesUpNoRestart) {
  JobLifecycle job = recoverable_job_in(kRunning);
  for (int i = 0; i < 20; ++i) {
    job = next(job, exit_with(143), kNow);
    ASSERT_EQ(job.state, kRecovering) << i;
    job.state = kRunning;
  }
  job = next(job, exit_with(137), kNow);
  EXPECT_NE(job.reason.find("restart 1 of 3 without a checkpoint between"), std::string::npos) << job.reason;
}

// However often it comes in order, it uses up no restart.
TEST(JobRecovery, AStopInOrderIsNoFailure) {
  const JobLifecycle stopped = next(recoverable_job_in(kRunning), CoordinatorStopped{}, kNow);
  EXPECT_TRUE(stopped.failures.empty());
  EXPECT_EQ(next(recoverable_job_in(kRunning), CoordinatorRestarted{}, kNow).failures.size(), 1u);
}

TEST(JobRecovery, WhatItWaitsForIsSaidWithWhyThereIsANextAttempt) {
  const JobLifecycle job = next(recoverable_job_in(kRunning), exit_with(1), kNow);
  EXPECT_EQ(next(job, SlotsAwaited{.wanted = 2, .free = 1, .total = 3}, kNow).reason,
            "mpirun exited with code 1; attempt 3 waits for 2 free slots; 1 of 3 is free, restart 1 of 3 without a "
            "checkpoint between");
}

JobLifecycle pausing_job() { return next(recoverable_job_in(kRunning), PauseRequested{}, kNow); }
JobLifecycle after_all(JobLifecycle job, const std::vector<JobEvent>& events) {
  for (const JobEvent& event : events) job = next(job, event, kNow);
  return job;
}

TEST(JobPause, IsDoneOnceAllRanksHaveLeftAndMpirunHasExited) {
  JobLifecycle job = pausing_job();
  EXPECT_EQ(job.reason, "pausing on request; its ranks make a checkpoint and leave");
  EXPECT_TRUE(awaits_checkpoint(job));
  job = next(job, RanksPaused{.step = 7}, kNow);
  EXPECT_EQ(job.state, kPausing);
  EXPECT_EQ(job.reason, "its ranks have left at step 7 with a checkpoint; waiting for mpirun to exit");
  EXPECT_FALSE(awaits_checkpoint(job));
  for (const int code : {0, 1, 137}) {  // nothing that happens now takes anything away
    const JobLifecycle paused = next(job, exit_with(code), kNow);
    EXPECT_EQ(paused.state, kPaused) << code;
    EXPECT_EQ(paused.reason, "paused at step 7 with a checkpoint");
    EXPECT_TRUE(paused.failures.empty());
    EXPECT_FALSE(paused.left_at_step);
  }
}

TEST(JobPause, OfWhatHasNotBegunToTrainEndsItsProcesses) {
  JobLifecycle starting = recoverable_job_in(kStarting);
  starting.has_trained = false;
  const JobLifecycle job = next(starting, PauseRequested{.has_processes = true}, kNow);
  EXPECT_TRUE(job.ends_processes);
  EXPECT_FALSE(awaits_checkpoint(job));
  EXPECT_EQ(next(job, TrainingStarted{.total_steps = 5, .world_size = 1}, kNow).state, kPausing);
  for (const int code : {0, 1, 143}) {
    EXPECT_EQ(next(job, exit_with(code), kNow).state, kPaused) << code;
    EXPECT_EQ(next(job, exit_with(code), kNow).reason, "paused before it had begun to train");
  }
  EXPECT_EQ(next(job, ProcessesEnded{}, kNow).state, kPaused);
}

TEST(JobPause, ThroughNoFaultOfTheJobsItGoesOnFromItsNewestCheckpoint) {
  const JobLifecycle lost = next(pausing_job(), failure_of_kind(v1::FAILURE_KIND_INFRASTRUCTURE), kNow);
  EXPECT_EQ(lost.state, kPausing);
  EXPECT_TRUE(lost.ends_processes);
  const JobLifecycle paused = next(lost, exit_with(1), kNow);
  EXPECT_EQ(paused.state, kPaused);
  EXPECT_EQ(paused.reason, "paused; rank 0: r; it goes on from its newest checkpoint");
  EXPECT_TRUE(paused.failures.empty());
  EXPECT_EQ(after_all(pausing_job(), {RankSilent{.rank = 0, .host = "h", .seconds = 30}, ProcessesEnded{}}).state,
            kPaused);
}

TEST(JobPause, WaitsForHostsThatCouldNotBeReached) {
  LauncherExited exit = exit_with(205);
  exit.leaves_processes = true;
  const JobLifecycle job = after_all(pausing_job(), {exit, HostsAwaited{.hosts = "h"}});
  EXPECT_EQ(job.state, kPausing);
  EXPECT_EQ(next(job, ProcessesEnded{}, kNow).state, kPaused);
  const JobLifecycle left = after_all(pausing_job(), {RanksPaused{.step = 7}, exit});
  EXPECT_EQ(left.state, kPausing);
  EXPECT_EQ(next(left, ProcessesEnded{}, kNow).reason, "paused at step 7 with a checkpoint");
}

TEST(JobPause, TrainingThatEndsFirstSucceeds) {
  JobLifecycle job = next(pausing_job(), RanksFinished{.world_size = 1}, kNow);
  EXPECT_FALSE(awaits_checkpoint(job));
  job = next(job, LauncherExited{.exit_code = 0, .last_line = "", .ranks_finished = 1, .world_size = 1}, kNow);
  EXPECT_EQ(job.state, kSucceeded);
}

TEST(JobPause, ThatFailsLetsTheJobGoOn) {
  const JobLifecycle job = next(pausing_job(), PauseFailed{.why = "no room"}, kNow);
  EXPECT_EQ(job.state, kRunning);
  EXPECT_EQ(job.reason, "training goes on, as the job could not be paused: no room");
  EXPECT_EQ(next(next(pausing_job(), RanksPaused{.step = 5}, kNow), PauseFailed{.why = "w"}, kNow).state, kPausing);
}

TEST(JobPause, AResumeMeanwhileIsHonouredAfterwards) {
  JobLifecycle job = next(pausing_job(), ResumeRequested{}, kNow);
  EXPECT_EQ(job.state, kPausing);
  EXPECT_TRUE(job.resumes);
  EXPECT_EQ(job.reason, "pausing on request; its ranks make a checkpoint and leave; the job goes on once it is PAUSED");
  EXPECT_FALSE(next(job, PauseRequested{}, kNow).resumes);
  EXPECT_EQ(next(job, CoordinatorRestarted{}, kNow).state, kQueued);
  EXPECT_EQ(next(job, CoordinatorStopped{}, kNow).state, kQueued);
  job = after_all(job, {RanksPaused{.step = 7}, exit_with(0)});
  EXPECT_EQ(job.state, kQueued);
  EXPECT_EQ(job.reason, "paused at step 7 with a checkpoint, and resumed; waiting for a free place");
  EXPECT_FALSE(job.resumes);
}

// Somebody else has asked a rank to end.
TEST(JobLeave, IsNoFailureHoweverOftenItComes) {
  JobLifecycle job = recoverable_job_in(kRunning);
  job.max_restarts = 0;
  for (std::int64_t step = 7; step < 20; ++step) {
    job = after_all(job, {RanksPaused{.step = step}, exit_with(step % 2 == 0 ? 0 : 143)});
    ASSERT_EQ(job.state, kRecovering);
    EXPECT_EQ(job.restart_cause, RestartCause::kPreemption);
    EXPECT_TRUE(job.failures.empty());
    job = after_all(job, {AttemptLaunched{.generation = step}, TrainingStarted{.total_steps = 50, .world_size = 1}});
    ASSERT_EQ(job.state, kRunning);
    EXPECT_FALSE(job.left_at_step);
  }
}

TEST(JobLeave, SaysFromWhereItGoesOn) {
  const JobLifecycle left = next(recoverable_job_in(kRunning), RanksPaused{.step = 7}, kNow);
  EXPECT_EQ(next(left, exit_with(0), kNow).reason,
            "its ranks left at step 7 with a checkpoint, as one of them was asked to end; attempt 3 starts within 1 s");
  EXPECT_EQ(next(left, failure_of_kind(v1::FAILURE_KIND_INFRASTRUCTURE), kNow).state, kRunning) << "they have left";
  const std::string stopped =
      "the coordinator was stopped; the job goes on from the checkpoint of step 7 when one starts";
  EXPECT_EQ(next(left, CoordinatorStopped{}, kNow).reason, stopped);
  EXPECT_EQ(next(next(left, exit_with(0), kNow), CoordinatorStopped{}, kNow).reason, stopped);
}

// systemd sends SIGTERM to the coordinator and to all of its ranks at once: attempts and events blamed a rank.
TEST(JobLeave, RanksThatEndWithTheirCoordinatorAreNotToBlame) {
  const JobLifecycle job = next(recoverable_job_in(kRunning), CoordinatorStopping{}, kNow);
  EXPECT_EQ(job.reason, "its ranks make a checkpoint and leave, as the coordinator stops");
  const std::vector<JobEvent> ends = {failure_of_kind(v1::FAILURE_KIND_INFRASTRUCTURE),
                                      exit_with(0),
                                      exit_with(1),
                                      exit_with(137),
                                      exit_with(143),
                                      RankSilent{.rank = 1, .host = "h", .seconds = 30},
                                      RankStalled{.rank = 1, .text = "rank 1 stands still"},
                                      RanksNotBack{.text = "rank 1 is not back"}};
  for (const JobEvent& end : ends) {
    const JobLifecycle after = next(job, end, kNow);
    EXPECT_EQ(after.state, kRecovering) << end.index();
    EXPECT_EQ(after.reason, "the coordinator was stopped; the job goes on when one starts") << end.index();
    EXPECT_EQ(after.restart_cause, RestartCause::kCoordinator) << end.index();
    EXPECT_TRUE(after.failures.empty()) << "it uses up no restart: " << end.index();
    EXPECT_FALSE(after.failure) << end.index();
    EXPECT_EQ(next(after, exit_with(143), kNow).reason, after.reason) << end.index();
    EXPECT_EQ(next(after, CoordinatorStopped{}, kNow).reason, after.reason) << end.index();
  }
  const JobLifecycle left = after_all(job, {RanksPaused{.step = 7}, exit_with(143)});
  EXPECT_EQ(left.reason, "the coordinator was stopped; the job goes on from the checkpoint of step 7 when one starts");
  EXPECT_EQ(next(left, CoordinatorStopped{}, kNow).reason, left.reason);
  const JobLifecycle asked = after_all(recoverable_job_in(kRunning), {RanksPaused{.step = 7}, CoordinatorStopping{}});
  EXPECT_EQ(next(asked, exit_with(143), kNow).reason, left.reason) << "its ranks had the signal first";
}

TEST(JobLeave, AJobThatMayNotGoOnFailsWithItsCoordinatorAndNamesNoRank) {
  JobLifecycle once = recoverable_job_in(kRunning);
  once.max_restarts = 0;
  for (const JobLifecycle& job : {next(once, CoordinatorStopping{}, kNow),
                                  next(recoverable_job_in(kRunning), CoordinatorStopping{.for_good = true}, kNow)}) {
    const JobLifecycle after = next(job, failure_of_kind(v1::FAILURE_KIND_INFRASTRUCTURE), kNow);
    EXPECT_EQ(after.state, kFailed);
    EXPECT_EQ(after.reason, "the coordinator was stopped while the job was RUNNING");
    ASSERT_TRUE(after.failure);
    EXPECT_FALSE(after.failure->rank);
  }
}

TEST(JobLeave, AFailureOfTheJobItselfCountsWhileItsCoordinatorStops) {
  const JobLifecycle job = next(recoverable_job_in(kRunning), CoordinatorStopping{}, kNow);
  const JobLifecycle after = next(job, failure_of_kind(v1::FAILURE_KIND_PROGRAM), kNow);
  EXPECT_EQ(after.state, kFailed);
  ASSERT_TRUE(after.failure);
  EXPECT_TRUE(after.failure->rank);
}

TEST(JobLeave, APauseThatTheStopCutsShortSaysSo) {
  const JobLifecycle job = next(pausing_job(), CoordinatorStopping{}, kNow);
  const JobLifecycle lost = next(job, failure_of_kind(v1::FAILURE_KIND_INFRASTRUCTURE), kNow);
  EXPECT_EQ(lost.pause_trouble, "the coordinator was stopped");
  EXPECT_EQ(next(lost, CoordinatorStopped{}, kNow).reason,
            "paused; the coordinator was stopped; it goes on from its newest checkpoint");
}

TEST(JobLeave, WorkersOfTheUserMayRegisterAgain) {
  const JobLifecycle job = next(job_in(kRunning, LaunchedBy::kUser), RanksPaused{.step = 7}, kNow);
  EXPECT_EQ(job.state, kQueued);
  EXPECT_EQ(job.reason, "left at step 7 with a checkpoint; waiting for its workers to register again");
  EXPECT_EQ(next(job, AttemptRegistered{.generation = 2, .host = "h"}, kNow).state, kStarting);
}

}  // namespace job_lifecycle_test
}  // namespace equipoise::coordinator
