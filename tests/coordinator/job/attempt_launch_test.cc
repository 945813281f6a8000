// Jobs that start again after their ranks, a host or the coordinator were lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace attempt_launch_test {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = Refusal::Code;

std::vector<double> losses_of(int step) { return {0.2 + 0.01 * step, 1.0 / (1 + step)}; }

class Restarts : public ControllerFixture {
 protected:
  v1::JobSpec spec(int workers, int max_restarts) {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, workers);
    spec.mutable_launch()->set_max_restarts(max_restarts);
    return spec;
  }
  std::string queued(int workers = 1, int max_restarts = 3) {
    return jobs().create(create_request(spec(workers, max_restarts))).id();
  }
  // All ranks of the newest attempt.
  void register_ranks(const std::string& id) {
    const int workers = job(id).world_size();
    for (int rank = 0; rank < workers; ++rank) {
      auto request = register_request(id, rank == 0 ? 0 : job(id).generation(), rank, workers);
      request.set_attempt_token(launcher_.started.back().token);
      calls().register_worker(request);
    }
  }
  // The newest attempt, which was launched, trains.
  v1::StartTrainingResponse start(const std::string& id, const std::optional<v1::ResumePoint>& resume = std::nullopt) {
    register_ranks(id);
    auto request = start_request(id, job(id).generation());
    if (resume) *request.mutable_resume() = *resume;
    return calls().start_training(request);
  }
  std::string running(int workers = 1, int max_restarts = 3) {
    const std::string id = queued(workers, max_restarts);
    core_->attempts().tick();
    start(id);
    return id;
  }
  void steps(const std::string& id, int first, int end) {
    for (int step = first; step < end; ++step) {
      calls().report_step(step_request(id, job(id).generation(), step, losses_of(step)));
    }
  }
  void fail(const std::string& id, int rank, v1::FailureKind kind, const std::string& reason) {
    v1::FailWorkerRequest request;
    request.set_job_id(id);
    request.set_generation(job(id).generation());
    request.set_rank(rank);
    request.set_kind(kind);
    request.set_reason(reason);
    calls().fail_worker(request);
  }
  // The processes end, and all the time passes that a restart may take.
  void lose(const std::string& id, int code = 137) {
    mpirun_exits(id, code, "a rank was killed");
    core_->attempts().tick();
    pass(60s);
  }
  v1::JobState state(const std::string& id) { return job(id).state(); }
  std::string reason(const std::string& id) { return job(id).state_reason(); }
};

TEST_F(Restarts, AJobWhoseRankWasKilledGoesOnFromItsCheckpointAndAppliesEachStepOnce) {
  const auto undisturbed = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  for (int step = 0; step < 10; ++step) calls().report_step(step_request(undisturbed, 1, step, losses_of(step)));

  const auto id = running(2);
  steps(id, 0, 4);
  const auto newest = checkpoint(id);
  steps(id, 4, 7);
  const auto revision = job(id).revision();
  mpirun_exits(id, 137, "rank 1 was killed");
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(reason(id),
            "mpirun exited with code 137: rank 1 was killed; attempt 2 starts within 1 s, restart 1 of 3 without a "
            "checkpoint between");
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_UNSPECIFIED);
  EXPECT_EQ(job(id).step(), 7);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, SizeIs(1));
  pass(1s);
  ASSERT_THAT(launcher_.started, SizeIs(2));
  EXPECT_EQ(launcher_.started[1].attempt, (AttemptKey{.job_id = id, .generation = 2}));
  EXPECT_NE(launcher_.started[1].token, launcher_.started[0].token);
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(job(id).restarts(), 1);

  const auto answer = start(id, newest);
  EXPECT_EQ(answer.plan().first_step(), 4);
  EXPECT_EQ(job(id).step(), 4);
  EXPECT_EQ(job(id).checkpoint_step(), 4);
  EXPECT_GT(job(id).revision(), revision);
  steps(id, 4, 10);
  for (const int rank : {0, 1}) calls().finish_worker(finish_request(id, 2, rank, 'x'));
  mpirun_exits(id, 0);
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);

  v1::ListGroupWeightsRequest history;
  history.set_id(id);
  const auto records = jobs().group_weights(history).records();
  history.set_id(undisturbed);
  const auto expected = jobs().group_weights(history).records();
  ASSERT_EQ(records.size(), 10);
  for (int step = 0; step < 10; ++step) {
    EXPECT_EQ(records[step].step(), step);
    EXPECT_EQ(records[step].generation(), step < 4 ? 1 : 2);
    EXPECT_THAT(records[step].alpha(), ::testing::ElementsAreArray(expected[step].alpha())) << step;
  }
  const auto attempts = store_->attempts(id);
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(attempts[0].state, "FAILED");
  EXPECT_EQ(attempts[0].cause, "mpirun exited with code 137: rank 1 was killed");
  EXPECT_EQ(attempts[0].exit_code, 137);
  EXPECT_EQ(attempts[0].start_step, 0);
  EXPECT_EQ(attempts[1].state, "SUCCEEDED");
  EXPECT_EQ(attempts[1].start_step, 4);
  EXPECT_EQ(attempts[1].token_hash.size(), 32u);
}

TEST_F(Restarts, RanksOfAFailedAttemptAreToldToEndAndMoveNothing) {
  const auto id = running(2);
  steps(id, 0, 3);
  fail(id, 1, v1::FAILURE_KIND_INFRASTRUCTURE, "rank 0 does not answer");
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(calls().heartbeat(heartbeat_request(id, 1, 0)).command(), v1::HeartbeatResponse::COMMAND_EXIT);
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, 3, {0.2, 1.0})); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] { calls().commit_checkpoint(commit_request(id, 1, 3)); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] { calls().finish_worker(finish_request(id, 1, 0, 'x')); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] { register_ranks(id); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(job(id).step(), 3);
  mpirun_exits(id, 75);
  core_->attempts().tick();
  pass(1s);
  EXPECT_EQ(job(id).generation(), 2);
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, 3, {0.2, 1.0})); }).code, Code::kFailedPrecondition);
  const auto old_token = launcher_.started[0].token;
  EXPECT_EQ(error_of([&] { calls().check_token(id, old_token); }).code, Code::kPermissionDenied);
}

TEST_F(Restarts, TheProcessesOfTheFailedAttemptEndBeforeTheNextOneStarts) {
  const auto id = running(2);
  fail(id, 0, v1::FAILURE_KIND_INFRASTRUCTURE, "no answer");
  pass(5s);
  EXPECT_THAT(launcher_.terminated, ElementsAre(AttemptKey{.job_id = id, .generation = 1}));
  pass(70s);
  EXPECT_THAT(launcher_.killed, Not(IsEmpty()));
  EXPECT_THAT(launcher_.started, SizeIs(1)) << "they are still there";
  mpirun_exits(id, 137);
  core_->attempts().tick();
  pass(1s);
  EXPECT_THAT(launcher_.started, SizeIs(2));
  EXPECT_THAT(reason(id), HasSubstr("attempt 2 is being started"));
}

TEST_F(Restarts, EachFurtherFailureDoublesTheDelay) {
  const auto id = running(1, 1000);
  int seconds = 1;
  for (int failure = 0; failure < 9; ++failure, seconds = std::min(2 * seconds, 60)) {
    mpirun_exits(id, 137, "killed");
    EXPECT_THAT(reason(id), HasSubstr("starts within " + std::to_string(seconds) + " s, restart " +
                                      std::to_string(failure + 1) + " of 1000"));
    core_->attempts().tick();
    const std::size_t started = launcher_.started.size();
    clock_.advance(500ms * seconds - 1ms);
    core_->attempts().tick();
    EXPECT_THAT(launcher_.started, SizeIs(started)) << seconds;
    clock_.advance(500ms * seconds + 2ms);
    core_->attempts().tick();
    ASSERT_THAT(launcher_.started, SizeIs(started + 1)) << seconds;
  }
}

TEST_F(Restarts, AJobThatUsesUpItsRestartsFailsWithAllCauses) {
  const auto id = running(1, 2);
  steps(id, 0, 1);
  mpirun_exits(id, 137, "one");
  core_->attempts().tick();
  pass(1s);
  start(id);
  fail(id, 0, v1::FAILURE_KIND_INFRASTRUCTURE, "two");
  mpirun_exits(id, 75);
  core_->attempts().tick();
  pass(2s);
  EXPECT_EQ(job(id).restarts(), 2);
  mpirun_exits(id, 205, "three");
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_EQ(reason(id),
            "failed after 2 restarts without a checkpoint between; last: mpirun exited with code 205: three; before: "
            "rank 0: two; mpirun exited with code 137: one");
  pass(120s);
  EXPECT_THAT(launcher_.started, SizeIs(3));
}

TEST_F(Restarts, ACheckpointPaysForTheRestartsBeforeIt) {
  const auto id = running(1, 1);
  std::optional<v1::ResumePoint> newest;
  for (int attempt = 0; attempt < 4; ++attempt) {
    steps(id, 2 * attempt, 2 * attempt + 2);
    newest = checkpoint(id);
    lose(id);
    ASSERT_EQ(state(id), v1::JOB_STATE_STARTING) << attempt;
    start(id, newest);
  }
  EXPECT_EQ(job(id).restarts(), 4);
  lose(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED) << "two failures without a checkpoint between";
}

TEST_F(Restarts, AFailureOfTheJobItselfIsItsEnd) {
  for (const auto kind : {v1::FAILURE_KIND_PROGRAM, v1::FAILURE_KIND_INVALID_INPUT, v1::FAILURE_KIND_UNSPECIFIED}) {
    const auto id = running(1);
    fail(id, 0, kind, "train.jsonl:3: no");
    EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
    EXPECT_EQ(reason(id), "rank 0: train.jsonl:3: no");
    mpirun_exits(id, 2);
    core_->attempts().tick();
  }
}

// Rank 0 lost its connection to the rank that found the fault, and was faster.
TEST_F(Restarts, AFailureOfTheJobItselfCountsAlsoWhereAnotherRankSpokeFirst) {
  const auto id = running(2);
  fail(id, 0, v1::FAILURE_KIND_INFRASTRUCTURE, "rank 1 has gone");
  fail(id, 1, v1::FAILURE_KIND_INVALID_INPUT, "train.jsonl:3: no");
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(reason(id), "rank 1: train.jsonl:3: no");
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_INVALID_INPUT);
  lose(id);
  EXPECT_THAT(launcher_.started, SizeIs(1));
}

TEST_F(Restarts, TheSameFailureAtTheSameStepTwiceIsACrashLoop) {
  const auto id = running(1);
  const auto newest = [&] {
    steps(id, 0, 2);
    return checkpoint(id);
  }();
  const auto crash = [&](int process_id) {
    mpirun_exits(id, 139, "process rank 0 with PID " + std::to_string(process_id) + " exited on signal 11");
    core_->attempts().tick();
    pass(2s);
  };
  steps(id, 2, 4);
  crash(4711);
  start(id, newest);
  steps(id, 2, 3);
  crash(4712);  // at another step
  ASSERT_EQ(state(id), v1::JOB_STATE_STARTING);
  start(id, newest);
  steps(id, 2, 3);
  crash(4713);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_PROGRAM);
  EXPECT_THAT(reason(id),
              ::testing::StartsWith("failed twice in a row at step 3, alike, whose batch is pairs 5 to 6 of "
                                    "epoch 2, which are the pairs "));
  EXPECT_THAT(reason(id), HasSubstr(" of data.train; last: mpirun exited with code 139: process rank 0 with PID 4713 "
                                    "exited on signal 11; before: mpirun exited with code 139: process "));
}

TEST_F(Restarts, AKillFromOutsideIsNoCrashLoop) {
  const auto id = running(1);
  steps(id, 0, 2);
  lose(id, 137);
  start(id);
  steps(id, 0, 2);
  lose(id, 137);
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
}

TEST_F(Restarts, AFirstStartThatDoesNotComeTogetherIsTheEnd) {
  const auto id = queued(2);
  core_->attempts().tick();
  pass(131s);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(reason(id), HasSubstr("have not registered within 120 s"));
  mpirun_exits(id, 1);
  const auto trained = running(2);
  lose(trained);
  ASSERT_EQ(state(trained), v1::JOB_STATE_STARTING);
  pass(131s);
  EXPECT_EQ(state(trained), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(reason(trained), HasSubstr("have not registered within 120 s"));
}

TEST_F(Restarts, ALaunchIsTriedAgainOnceAnEarlierOneHasWorked) {
  const auto id = running(1);
  mpirun_exits(id, 137);
  core_->attempts().tick();
  launcher_.refusal = "mpirun cannot be started: Resource temporarily unavailable";
  pass(1s);
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(job(id).generation(), 2);
  EXPECT_THAT(reason(id), HasSubstr("Resource temporarily unavailable; attempt 3 starts within 2 s, restart 2 of 3"));
  launcher_.refusal.clear();
  pass(3s);
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(job(id).generation(), 3);
}

// A launcher may say so later.
TEST_F(Restarts, AStartThatFailsMeanwhileIsTriedAgainToo) {
  const auto refuse = [&](const std::string& id) {
    core_->attempts().handle_exit({.attempt = {.job_id = id, .generation = job(id).generation()},
                                   .exit_code = 1,
                                   .last_line = "no process",
                                   .refusal = "no process"});
  };
  const auto first = queued(1);
  core_->attempts().tick();
  refuse(first);
  EXPECT_EQ(state(first), v1::JOB_STATE_FAILED);
  EXPECT_EQ(reason(first), "mpirun could not be started: no process");
  const auto id = running(1);
  mpirun_exits(id, 137);
  core_->attempts().tick();
  pass(1s);
  ASSERT_EQ(state(id), v1::JOB_STATE_STARTING);
  refuse(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(reason(id), HasSubstr("no process; attempt 3 starts within 2 s, restart 2 of 3"));
  pass(3s);
  ASSERT_EQ(state(id), v1::JOB_STATE_STARTING);
  jobs().cancel(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_CANCELLING);
  refuse(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_CANCELLED);
  EXPECT_FALSE(core_->attempts().has_live_attempts());
}

// The kernel takes memory back from whom it likes, also before the first attempt has processes.
TEST_F(Restarts, AShimThatIsKilledBeforeItHasStartedAnythingCostsARestart) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
  spec.mutable_launch()->set_max_restarts(3);
  const auto id = jobs().create(create_request(spec)).id();
  core_->attempts().tick();
  const std::string why = "equipoise-shim has ended with code 137 and has started nothing";
  core_->attempts().handle_exit({.attempt = {.job_id = id, .generation = job(id).generation()},
                                 .exit_code = 1,
                                 .last_line = why,
                                 .refusal = why,
                                 .was_interrupted = true});
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(reason(id), HasSubstr("ended with code 137 and has started nothing; attempt 2 starts within"));
  pass(3s);
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(job(id).generation(), 2);
}

TEST_F(Restarts, ACancelBeforeTheNextAttemptIsTheEnd) {
  const auto id = running(1);
  mpirun_exits(id, 137);
  EXPECT_EQ(jobs().cancel(id).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(reason(id), "cancelled on request before attempt 2 started");
  pass(60s);
  EXPECT_THAT(launcher_.started, SizeIs(1));
}

TEST_F(Restarts, ACancelWaitsForTheProcessesOfTheFailedAttempt) {
  const auto id = running(1);
  fail(id, 0, v1::FAILURE_KIND_INFRASTRUCTURE, "no answer");
  EXPECT_EQ(jobs().cancel(id).state(), v1::JOB_STATE_CANCELLING);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  mpirun_exits(id, 143);
  EXPECT_EQ(state(id), v1::JOB_STATE_CANCELLED);
  pass(60s);
  EXPECT_THAT(launcher_.started, SizeIs(1));
}

TEST_F(Restarts, ACancelIsKeptOverALostCoordinator) {
  const auto id = running(1);
  fail(id, 0, v1::FAILURE_KIND_INFRASTRUCTURE, "no answer");
  jobs().cancel(id);
  restart();
  EXPECT_EQ(state(id), v1::JOB_STATE_CANCELLED);
  pass(60s);
  EXPECT_THAT(launcher_.started, IsEmpty());
}

TEST_F(Restarts, AJobThatRecoversKeepsItsOutputAndItsPlace) {
  auto request = create_request(spec(1, 3));
  const auto id = jobs().create(request).id();
  core_->attempts().tick();
  start(id);
  const auto younger = queued();
  fail(id, 0, v1::FAILURE_KIND_INFRASTRUCTURE, "no answer");
  mpirun_exits(id, 75);
  core_->attempts().tick();
  EXPECT_EQ(state(younger), v1::JOB_STATE_QUEUED) << "the older one has the only place";
  EXPECT_EQ(error_of([&] { jobs().remove(id); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(error_of([&] { jobs().create(request); }).code, Code::kFailedPrecondition) << "the output is reserved";
  pass(1s);
  ASSERT_THAT(launcher_.started, SizeIs(2));
  EXPECT_EQ(launcher_.started[1].attempt.job_id, id);
}

TEST_F(Restarts, AnAttemptOfAJobWithACheckpointDoesNotBeginFromTheStart) {
  const auto id = running(1);
  steps(id, 0, 3);
  checkpoint(id);
  lose(id);
  EXPECT_THAT(error_of([&] { start(id); }).text, HasSubstr("it has a checkpoint of step 3 on record, but attempt 2"));
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
}

// The newest checkpoint was found damaged: the one before it is of the record, too.
TEST_F(Restarts, AnOlderCheckpointMakesThoseAfterItNoLongerOfTheJob) {
  const auto id = running(1);
  steps(id, 0, 2);
  const auto older = checkpoint(id);
  steps(id, 2, 5);
  const auto newer = checkpoint(id);
  lose(id);
  start(id, older);
  EXPECT_EQ(job(id).checkpoint_step(), 2);
  const auto stored = store_->checkpoints(id);
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].state, "COMMITTED");
  EXPECT_EQ(stored[1].state, "DELETED");
  lose(id);
  EXPECT_THAT(error_of([&] { start(id, newer); }).text, HasSubstr("the steps on record end at 2"));
}

// Its rename was the last that rank 0 did.
TEST_F(Restarts, ACheckpointThatNobodyWasToldOfIsOnRecordOnceAnAttemptGoesOnFromIt) {
  const auto id = running(1);
  steps(id, 0, 3);
  v1::GetGroupWeightsRequest request;
  request.set_job_id(id);
  request.set_generation(1);
  const auto untold = resume_point(id, 1, calls().group_weights(request).state());
  lose(id);
  start(id, untold);
  EXPECT_EQ(job(id).checkpoint_step(), 3);
  ASSERT_THAT(store_->checkpoints(id), SizeIs(1));
  EXPECT_EQ(store_->checkpoints(id)[0].step, 3);
  lose(id);
  EXPECT_THAT(error_of([&] { start(id); }).text, HasSubstr("it has a checkpoint of step 3 on record"));
}

TEST_F(Restarts, WhatGroupsWereBeforeTheFirstStepStaysShown) {
  const auto id = running(1);
  v1::ReportMetricsRequest evaluation;
  evaluation.set_job_id(id);
  evaluation.set_generation(1);
  evaluation.set_split(v1::SPLIT_VALIDATION);
  auto& group = *evaluation.add_groups();
  group.set_group(1);
  group.set_loss(0.7);
  calls().report_metrics(evaluation);
  steps(id, 0, 3);
  const auto newest = checkpoint(id);
  lose(id);
  start(id, newest);
  EXPECT_EQ(job(id).groups(1).initial_validation_loss(), 0.7);
}

TEST_F(Restarts, ALostCoordinatorsJobsGoOnWithTheNext) {
  const auto id = running(2);
  steps(id, 0, 4);
  const auto newest = checkpoint(id);
  steps(id, 4, 6);
  const auto seen = job(id);
  restart();
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(reason(id),
            "the coordinator was lost while the job was RUNNING; attempt 2 starts in 3 s, when ranks that it left must "
            "have ended");
  EXPECT_GT(job(id).revision(), seen.revision());
  EXPECT_EQ(job(id).step(), 6);
  // Ranks that have outlived it, and whoever says that he is one of them.
  calls().check_token(id, "anything");
  EXPECT_EQ(calls().heartbeat(heartbeat_request(id, 1, 0)).command(), v1::HeartbeatResponse::COMMAND_EXIT);
  fail(id, 0, v1::FAILURE_KIND_PROGRAM, "forged");
  EXPECT_EQ(error_of([&] { calls().report_step(step_request(id, 1, 6, losses_of(6))); }).code,
            Code::kFailedPrecondition);
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  pass(2s);
  EXPECT_THAT(launcher_.started, IsEmpty());
  pass(1s);
  ASSERT_THAT(launcher_.started, SizeIs(1));
  EXPECT_EQ(launcher_.started[0].attempt.generation, 2);
  start(id, newest);
  steps(id, 4, 10);
  for (const int rank : {0, 1}) calls().finish_worker(finish_request(id, 2, rank, 'x'));
  mpirun_exits(id, 0);
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job(id).restarts(), 1);
}

TEST_F(Restarts, AJobThatIsWithItsCoordinatorWhenItIsLostAgainAndAgainFails) {
  const auto id = running(1, 2);
  for (int life = 0; life < 10; ++life) {
    restart();
    ASSERT_EQ(state(id), v1::JOB_STATE_RECOVERING) << life;
    pass(3s);
    ASSERT_EQ(state(id), v1::JOB_STATE_STARTING);
  }
  restart();
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(reason(id),
              HasSubstr("the coordinator was lost 11 times without a checkpoint between; last: the coordinator was "
                        "lost while the job was STARTING; before: the same; "));
}

// Whoever takes nodes back may do so every hour, and the coordinator may go with them.
TEST_F(Restarts, PreemptionsAndLostCoordinatorsUseUpNoRestart) {
  const auto id = running(1, 1);
  for (int round = 0; round < 3; ++round) {
    mpirun_exits(id, 143);
    ASSERT_EQ(state(id), v1::JOB_STATE_RECOVERING) << round;
    EXPECT_EQ(store_->attempts(id).back().state, "PREEMPTED");
    restart();
    pass(3s);
    ASSERT_EQ(state(id), v1::JOB_STATE_STARTING) << round;
    restart();
    EXPECT_EQ(store_->attempts(id).back().state, "LOST");
    pass(3s);
    ASSERT_EQ(state(id), v1::JOB_STATE_STARTING) << round;
  }
  mpirun_exits(id, 137);
  ASSERT_EQ(state(id), v1::JOB_STATE_RECOVERING) << "its one restart was not used up";
  EXPECT_THAT(reason(id), HasSubstr("restart 1 of 1 without a checkpoint between"));
  pass(120s);
  mpirun_exits(id, 137);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
}

TEST_F(Restarts, WhatAnEarlierCoordinatorSawOfFailuresCounts) {
  const auto id = running(1, 1);
  mpirun_exits(id, 137, "one");
  restart();
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(
      reason(id),
      "mpirun exited with code 137: one; attempt 2 starts when there is room, restart 1 of 1 without a checkpoint "
      "between");
  pass(3s);
  mpirun_exits(id, 205, "two");
  EXPECT_EQ(
      reason(id),
      "failed after 1 restart without a checkpoint between; last: mpirun exited with code 205: two; before: mpirun "
      "exited with code 137: one");
}

TEST_F(Restarts, AStoppedCoordinatorLeavesItsJobsToTheNext) {
  const auto id = running(1, 1);
  steps(id, 0, 3);
  core_->attempts().begin_shutdown();
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(reason(id), "the coordinator was stopped; the job goes on when one starts");
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  mpirun_exits(id, 143);
  core_->attempts().tick();
  pass(60s);
  EXPECT_FALSE(core_->attempts().has_live_attempts());
  EXPECT_THAT(launcher_.started, SizeIs(1));
  EXPECT_EQ(store_->attempts(id).at(0).state, "STOPPED");
  restart();
  EXPECT_EQ(reason(id), "the coordinator was stopped; attempt 2 starts when there is room");
  core_->attempts().tick();
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING) << "without a delay";
  mpirun_exits(id, 137);
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING) << "its one restart was not used up";
}

// Its processes were asked to end, and nobody has seen whether they have.
TEST_F(Restarts, ACoordinatorThatStartsAtOnceWaitsForRanksOfTheOneThatStopped) {
  const auto id = running(1, 1);
  core_->attempts().begin_shutdown();
  pass(1s);
  restart();
  core_->attempts().tick();
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(launcher_.started, IsEmpty());
  pass(1s);
  EXPECT_THAT(launcher_.started, IsEmpty());
  pass(1s);
  EXPECT_THAT(launcher_.started, SizeIs(1)) << "3 s after the stop";
}

TEST_F(Restarts, AStopAfterAFailureIsSaid) {
  const auto id = running(1, 3);
  mpirun_exits(id, 137, "killed");
  pass(3s);
  ASSERT_EQ(state(id), v1::JOB_STATE_STARTING);
  core_->attempts().begin_shutdown();
  restart();
  EXPECT_EQ(reason(id),
            "the coordinator was stopped; attempt 3 starts when there is room, restart 1 of 3 without a checkpoint "
            "between");
}

TEST_F(Restarts, AJobWhoseRanksHaveFinishedIsNotDoneAgainAsMpirunHangs) {
  const auto id = running(1, 3);
  steps(id, 0, 10);
  calls().finish_worker(finish_request(id, 1, 0, 'x'));
  pass(61s);
  ASSERT_THAT(launcher_.terminated, SizeIs(1));
  mpirun_exits(id, 143);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(reason(id), HasSubstr("all ranks have finished, but mpirun did not end by itself and was ended"));
}

TEST_F(Restarts, ACoordinatorThatNoOtherFollowsEndsItsJobs) {
  settings_.supervisor.is_last = true;
  restart();
  const auto id = running(1);
  core_->attempts().begin_shutdown();
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(reason(id), "the coordinator was stopped while the job was RUNNING");
}

TEST_F(Restarts, ExternalJobsAreNotStartedAgain) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
  fail(id, 0, v1::FAILURE_KIND_INFRASTRUCTURE, "no answer");
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(reason(id), "rank 0: no answer");
}

TEST_F(Restarts, TheMetricSaysWhy) {
  const auto id = running(1);
  lose(id, 143);
  lose(id, 137);
  std::map<std::string, double> counts;
  for (const auto& family : metrics_->collectable()->Collect()) {
    if (family.name != "equipoise_restarts_total") continue;
    for (const auto& metric : family.metric) {
      for (const auto& label : metric.label) {
        if (label.name == "cause") counts[label.value] = metric.counter.value;
      }
    }
  }
  EXPECT_THAT(counts, ElementsAre(std::pair("coordinator", 0.0), std::pair("infrastructure", 1.0),
                                  std::pair("preemption", 1.0)));
}

class RestartsOnTwoHosts : public Restarts {
 protected:
  RestartsOnTwoHosts() {
    settings_.supervisor.hosts = {{.name = "node1", .slots = 2}, {.name = "node2", .slots = 1}};
    settings_.supervisor.max_running_jobs = 10;
    restart();
  }
};

TEST_F(RestartsOnTwoHosts, HostsWhoseRanksMayStillRunAreNotUsedBefore) {
  const auto id = running(3);
  core_->attempts().handle_exit({.attempt = {.job_id = id, .generation = 1},
                                 .exit_code = 205,
                                 .last_line = "lost contact with node2",
                                 .lost_contact = true});
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(
      reason(id),
      "mpirun exited with code 205: lost contact with node2; attempt 2 waits until the ranks of attempt 1 on host, "
      "which could not be reached, must have ended, restart 1 of 3 without a checkpoint between");
  pass(39s);
  EXPECT_THAT(launcher_.started, SizeIs(1));
  pass(3s);
  EXPECT_THAT(launcher_.started, SizeIs(2));
  ASSERT_EQ(job(id).conditions_size(), 1);
  EXPECT_THAT(job(id).conditions(0), HasSubstr("could not be confirmed"));
}

TEST_F(RestartsOnTwoHosts, RanksThatALostCoordinatorLeftMustHaveEndedBefore) {
  const auto id = running(3);
  restart();
  EXPECT_THAT(reason(id), HasSubstr("attempt 2 starts in 40 s, when ranks that it left must have ended"));
  core_->attempts().tick();
  pass(39s);
  EXPECT_THAT(launcher_.started, IsEmpty());
  pass(1s);
  EXPECT_THAT(launcher_.started, SizeIs(1));
}

TEST_F(RestartsOnTwoHosts, AYoungerJobTakesOnlyWhatTheOlderOneDoesNotNeed) {
  const auto id = running(2);
  mpirun_exits(id, 1);
  const auto small = queued(1), large = queued(3);
  core_->attempts().tick();
  EXPECT_EQ(state(small), v1::JOB_STATE_STARTING);
  EXPECT_EQ(state(large), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(reason(large), "waiting for 3 free slots; 0 of 3 are free");
  pass(1s);
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
}

TEST_F(RestartsOnTwoHosts, AJobThatNoLongerFitsFails) {
  const auto id = running(3);
  mpirun_exits(id, 137);
  settings_.supervisor.hosts.pop_back();
  restart();
  core_->attempts().tick();
  pass(60s);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(reason(id), HasSubstr("launch.workers is 3, expected at most 2"));
}

}  // namespace attempt_launch_test
}  // namespace equipoise::coordinator
