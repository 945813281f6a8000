// Jobs that are paused and resumed, and jobs whose ranks leave with a checkpoint because somebody else wants it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job/job_progress.h"
#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace pause_test {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = Refusal::Code;

constexpr auto kContinue = v1::HeartbeatResponse::COMMAND_CONTINUE, kExit = v1::HeartbeatResponse::COMMAND_EXIT,
               kPause = v1::HeartbeatResponse::COMMAND_PAUSE;

class Pauses : public ControllerFixture {
 protected:
  std::string queued(int workers = 1, int max_restarts = 1) {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, workers);
    spec.mutable_launch()->set_max_restarts(max_restarts);
    return jobs().create(create_request(spec)).id();
  }
  // The newest attempt, which was launched or is the user's, trains.
  void train(const std::string& id, const std::optional<v1::ResumePoint>& resume = std::nullopt) {
    const int workers = job(id).spec().launch().workers();
    for (int rank = 0; rank < workers; ++rank) {
      auto request = register_request(id, rank == 0 ? 0 : job(id).generation(), rank, workers);
      if (!launcher_.started.empty()) request.set_attempt_token(launcher_.started.back().token);
      calls().register_worker(request);
    }
    auto request = start_request(id, job(id).generation());
    if (resume) *request.mutable_resume() = *resume;
    calls().start_training(request);
  }
  // Of one rank, which may be started three times more; `validation` is a file, or empty.
  static v1::JobSpec restarting_spec(const std::string& validation = "validation.jsonl") {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
    if (!validation.empty()) spec.mutable_data()->set_validation(validation);
    spec.mutable_launch()->set_max_restarts(3);
    return spec;
  }
  std::string running(const v1::JobSpec& spec) {
    const std::string id = jobs().create(create_request(spec)).id();
    core_->attempts().tick();
    train(id);
    return id;
  }
  std::string running(int workers = 1, int max_restarts = 1) {
    const std::string id = queued(workers, max_restarts);
    core_->attempts().tick();
    train(id);
    return id;
  }
  void steps(const std::string& id, int first, int end) {
    for (int step = first; step < end; ++step) {
      calls().report_step(step_request(id, job(id).generation(), step, {0.2, 1.0}));
    }
  }
  void leave(const std::string& id, int rank, std::int64_t step) {
    v1::LeaveWorkerRequest request;
    request.set_job_id(id);
    request.set_generation(job(id).generation());
    request.set_rank(rank);
    request.set_step(step);
    calls().leave_worker(request);
  }
  // All ranks have left, and so has mpirun.
  v1::ResumePoint leave_all(const std::string& id) {
    const auto point = checkpoint(id);
    for (int rank = 0; rank < job(id).world_size(); ++rank) leave(id, rank, job(id).step());
    return point;
  }
  v1::HeartbeatResponse beat(const std::string& id, int rank = 0, const std::string& pause_failure = "") {
    auto request = heartbeat_request(id, job(id).generation(), rank);
    request.set_pause_failure(pause_failure);
    return calls().heartbeat(request);
  }
  void fail(const std::string& id, v1::FailureKind kind) {
    v1::FailWorkerRequest request;
    request.set_job_id(id);
    request.set_generation(job(id).generation());
    request.set_kind(kind);
    request.set_reason("no");
    calls().fail_worker(request);
  }
  // As rank 0 hears it when it starts to train.
  std::vector<std::int64_t> evaluations_of_start(const std::string& id, std::int64_t generation) {
    const auto answer = calls().start_training(start_request(id, generation));
    return {answer.evaluation_steps().begin(), answer.evaluation_steps().end()};
  }
  void report_evaluation(const std::string& id, std::int64_t step) {
    v1::ReportMetricsRequest metrics;
    metrics.set_job_id(id);
    metrics.set_generation(job(id).generation());
    metrics.set_step(step);
    metrics.set_split(v1::SPLIT_VALIDATION);
    calls().report_metrics(metrics);
  }
  v1::JobState state(const std::string& id) { return job(id).state(); }
  std::string reason(const std::string& id) { return job(id).state_reason(); }
  DesiredState desired(const std::string& id) {
    for (const StoredJob& stored : store_->jobs()) {
      if (stored.job.id() == id) return stored.desired;
    }
    return DesiredState::kRun;
  }
  double restarts_by(const std::string& cause) {
    for (const auto& family : metrics_->collectable()->Collect()) {
      if (family.name != "equipoise_restarts_total") continue;
      for (const auto& metric : family.metric) {
        for (const auto& label : metric.label) {
          if (label.name == "cause" && label.value == cause) return metric.counter.value;
        }
      }
    }
    return 0;
  }
};

TEST_F(Pauses, RanksLeaveWithACheckpointAndTheJobGoesOnFromThere) {
  const auto id = running(2);
  steps(id, 0, 4);
  EXPECT_EQ(beat(id).command(), kContinue);
  EXPECT_EQ(jobs().pause(id).state(), v1::JOB_STATE_PAUSING);
  EXPECT_EQ(desired(id), DesiredState::kPause) << "before anything acts";
  const auto revision = job(id).revision();
  EXPECT_EQ(jobs().pause(id).revision(), revision) << "again: unchanged";
  for (const int rank : {0, 1}) EXPECT_EQ(beat(id, rank).command(), kPause);
  steps(id, 4, 5);  // that was under way
  const auto point = checkpoint(id);
  leave(id, 1, 5);
  leave(id, 1, 5);  // its answer was lost
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSING);
  EXPECT_EQ(beat(id, 0).command(), kPause);
  leave(id, 0, 5);
  EXPECT_EQ(reason(id), "its ranks have left at step 5 with a checkpoint; waiting for mpirun to exit");
  EXPECT_EQ(beat(id, 0).command(), kContinue);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.terminated, IsEmpty());
  mpirun_exits(id, 0);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(reason(id), "paused at step 5 with a checkpoint");
  EXPECT_EQ(store_->attempts(id).at(0).state, "PAUSED");
  EXPECT_FALSE(core_->attempts().has_live_attempts());
  pass(120s);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
  EXPECT_THAT(launcher_.started, SizeIs(1));

  EXPECT_EQ(jobs().resume(id).state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(desired(id), DesiredState::kRun);
  core_->attempts().tick();
  ASSERT_THAT(launcher_.started, SizeIs(2));
  train(id, point);
  EXPECT_EQ(job(id).step(), 5);
  EXPECT_EQ(job(id).restarts(), 0) << "people paused it";
  steps(id, 5, 10);
  for (const int rank : {0, 1}) calls().finish_worker(finish_request(id, 2, rank, 'x'));
  mpirun_exits(id, 0);
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(Pauses, WhatIsNotThereCannotLeave) {
  const auto id = running(1);
  steps(id, 0, 4);
  EXPECT_THAT(error_of([&] { leave(id, 0, 4); }).text, HasSubstr("and a checkpoint of them"));
  checkpoint(id);
  EXPECT_THAT(error_of([&] { leave(id, 0, 3); }).text, HasSubstr("leaves after step 3 with 4 steps on record"));
  EXPECT_EQ(error_of([&] { leave(id, 1, 4); }).code, std::nullopt) << "no such rank";
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
}

TEST_F(Pauses, AJobWithoutRanksIsPausedAtOnce) {
  const auto id = queued();
  EXPECT_EQ(jobs().pause(id).state(), v1::JOB_STATE_PAUSED);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.started, IsEmpty());
  jobs().resume(id);
  core_->attempts().tick();
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
}

TEST_F(Pauses, OfAJobThatHasNotBegunToTrainEndsItsProcesses) {
  const auto id = queued(1);
  core_->attempts().tick();
  calls().register_worker(registration(id, 0, 1));
  EXPECT_EQ(jobs().pause(id).state(), v1::JOB_STATE_PAUSING);
  EXPECT_EQ(beat(id).command(), kExit);
  EXPECT_EQ(error_of([&] { calls().start_training(start_request(id, 1)); }).code, Code::kFailedPrecondition);
  pass(5s);
  EXPECT_THAT(launcher_.terminated, SizeIs(1));
  mpirun_exits(id, 143);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(reason(id), "paused before it had begun to train");
}

TEST_F(Pauses, AJobThatRecoversIsPausedOnceNoProcessIsLeft) {
  const auto id = running(1);
  fail(id, v1::FAILURE_KIND_INFRASTRUCTURE);
  ASSERT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(jobs().pause(id).state(), v1::JOB_STATE_PAUSING);
  mpirun_exits(id, 1);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
  pass(60s);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
}

TEST_F(Pauses, AFailureOfTheJobItselfIsItsEnd) {
  const auto id = running(1);
  jobs().pause(id);
  fail(id, v1::FAILURE_KIND_INVALID_INPUT);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
}

TEST_F(Pauses, ALostRankLeavesTheJobPausedAtItsNewestCheckpoint) {
  const auto id = running(1);
  jobs().pause(id);
  mpirun_exits(id, 137, "killed");
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(reason(id), "paused; mpirun exited with code 137: killed; it goes on from its newest checkpoint");
}

TEST_F(Pauses, ThatCannotBeWrittenLetsTheJobGoOn) {
  const auto id = running(1);
  jobs().pause(id);
  EXPECT_EQ(beat(id).command(), kPause);
  EXPECT_EQ(beat(id, 0, "its checkpoint could not be written").command(), kContinue);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(desired(id), DesiredState::kRun);
  EXPECT_THAT(job(id).conditions(), Contains("could not pause after step 0: its checkpoint could not be written"));
  EXPECT_EQ(beat(id, 0, "").command(), kContinue);
}

TEST_F(Pauses, AResumeThatComesTooEarlyIsKept) {
  const auto id = running(1);
  steps(id, 0, 2);
  jobs().pause(id);
  EXPECT_EQ(jobs().resume(id).state(), v1::JOB_STATE_PAUSING);
  EXPECT_EQ(desired(id), DesiredState::kRun);
  leave_all(id);
  mpirun_exits(id, 0);
  EXPECT_EQ(state(id), v1::JOB_STATE_QUEUED);
  core_->attempts().tick();
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
}

TEST_F(Pauses, AreCancelled) {
  const auto paused = queued();
  jobs().pause(paused);
  EXPECT_EQ(jobs().cancel(paused).state(), v1::JOB_STATE_CANCELLED);
  const auto pausing = running(1);
  jobs().pause(pausing);
  EXPECT_EQ(jobs().cancel(pausing).state(), v1::JOB_STATE_CANCELLING);
  EXPECT_EQ(beat(pausing).command(), kExit);
  leave(pausing, 0, 0);  // on its way out already
  mpirun_exits(pausing, 0);
  EXPECT_EQ(state(pausing), v1::JOB_STATE_CANCELLED);
}

TEST_F(Pauses, AreRefusedWhereNothingGoesOn) {
  const auto cancelling = running(1);
  jobs().cancel(cancelling);
  const auto ended = queued();
  jobs().cancel(ended);
  for (const auto& id : {cancelling, ended}) {
    EXPECT_EQ(error_of([&] { jobs().pause(id); }).code, Code::kFailedPrecondition);
    EXPECT_EQ(error_of([&] { jobs().resume(id); }).code, Code::kFailedPrecondition);
    EXPECT_EQ(error_of([&] { jobs().checkpoint(id); }).code, Code::kFailedPrecondition);
  }
  const auto external = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))).id();
  EXPECT_EQ(jobs().pause(external).state(), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(error_of([&] { jobs().pause("none"); }).code, Code::kNotFound);
}

TEST_F(Pauses, SurviveTheCoordinator) {
  const auto paused = queued();
  jobs().pause(paused);
  settings_.supervisor.max_running_jobs = 10;
  restart();
  EXPECT_EQ(state(paused), v1::JOB_STATE_PAUSED);
  const auto pausing = running(1), resumed = running(1);
  jobs().pause(pausing);
  jobs().pause(resumed);
  jobs().resume(resumed);
  restart();
  EXPECT_EQ(state(paused), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(state(pausing), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(state(resumed), v1::JOB_STATE_QUEUED);
  pass(10s);  // until ranks that the lost coordinator has left must have ended
  EXPECT_EQ(state(pausing), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(state(resumed), v1::JOB_STATE_STARTING);
}

TEST_F(Pauses, ACheckpointIsAskedForByCount) {
  const auto id = running(1);
  EXPECT_EQ(beat(id).checkpoint_requests(), 0);
  jobs().checkpoint(id);
  jobs().checkpoint(id);
  EXPECT_EQ(beat(id).checkpoint_requests(), 2);
  EXPECT_EQ(beat(id).command(), kContinue);
  const auto waiting = queued();
  EXPECT_THAT(error_of([&] { jobs().checkpoint(waiting); }).text, HasSubstr("only a RUNNING job"));
}

// What was answered is made, whatever comes between.
TEST_F(Pauses, WhatWasAskedForOutlivesTheAttemptUntilItIsThere) {
  const auto id = running(restarting_spec());
  calls().report_step(step_request(id, 1, 0, {0.2, 1.0}));
  for (int i = 0; i < 2; ++i) {
    jobs().checkpoint(id);
    jobs().evaluate(id);
  }
  EXPECT_EQ(job(id).open_requests().checkpoint_step(), 1);
  EXPECT_EQ(job(id).open_requests().evaluation_step(), 1);
  mpirun_exits(id, 137, "killed");
  pass(5s);
  ASSERT_EQ(job(id).generation(), 2);
  train(id);
  EXPECT_EQ(beat(id).checkpoint_requests(), 1);
  EXPECT_EQ(beat(id).evaluation_requests(), 0);
  EXPECT_THAT(evaluations_of_start(id, 2), ElementsAre(1)) << "where it was asked for";
  for (const int step : {0, 1}) calls().report_step(step_request(id, 2, step, {0.2, 1.0}));
  calls().commit_checkpoint(commit_request(id, 2, 1));
  EXPECT_FALSE(job(id).open_requests().has_checkpoint_step());
  EXPECT_TRUE(job(id).open_requests().has_evaluation_step());
  EXPECT_EQ(beat(id).checkpoint_requests(), 1) << "of which ranks have heard";
  report_evaluation(id, 1);
  EXPECT_FALSE(job(id).open_requests().has_evaluation_step());
  mpirun_exits(id, 137, "killed");
  pass(5s);
  ASSERT_EQ(job(id).generation(), 3);
  EXPECT_FALSE(job(id).has_open_requests());
}

// The ranks may have done more steps when it was asked for than those that they go on from.
TEST_F(Pauses, ACheckpointThatWasAskedForIsTheNextOneAfterARewind) {
  const auto id = running(restarting_spec(""));
  steps(id, 0, 5);
  jobs().checkpoint(id);
  EXPECT_EQ(job(id).open_requests().checkpoint_step(), 5);
  mpirun_exits(id, 137, "killed");
  restart();  // and the coordinator was killed, too
  pass(5s);
  ASSERT_EQ(job(id).generation(), 2);
  EXPECT_EQ(job(id).open_requests().checkpoint_step(), 5) << "until it is known from where they go on";
  train(id);
  EXPECT_EQ(job(id).open_requests().checkpoint_step(), 0);
  EXPECT_EQ(beat(id).checkpoint_requests(), 1);
  steps(id, 0, 1);
  calls().commit_checkpoint(commit_request(id, 2, 1));
  EXPECT_FALSE(job(id).open_requests().has_checkpoint_step());
  mpirun_exits(id, 137, "killed");
  pass(5s);
  ASSERT_EQ(job(id).generation(), 3);
  EXPECT_FALSE(job(id).has_open_requests()) << "it is there";
}

// Two requests, of which the second comes where fewer steps are done.
TEST_F(Pauses, AnEvaluationThatIsAskedForAfterARewindLeavesTheOneBeforeOpen) {
  const auto id = running(restarting_spec());
  report_evaluation(id, 0);
  steps(id, 0, 5);
  jobs().evaluate(id);
  mpirun_exits(id, 137, "killed");
  pass(5s);
  train(id);
  EXPECT_THAT(evaluations_of_start(id, 2), ElementsAre(5));
  steps(id, 0, 2);
  jobs().evaluate(id);
  report_evaluation(id, 2);
  EXPECT_EQ(job(id).open_requests().evaluation_step(), 5);
  EXPECT_THAT(job(id).asked_evaluation_steps(), ElementsAre(2));
  mpirun_exits(id, 137, "killed");
  pass(5s);
  train(id);
  EXPECT_THAT(evaluations_of_start(id, 3), ElementsAre(2, 5));
}

// An attempt may end before the step at which it was asked for: people have moved the end of the job.
TEST_F(Pauses, AnEvaluationThatWasAskedForBeyondTheEndIsThatOfTheEnd) {
  const auto id = running(restarting_spec());
  steps(id, 0, 5);
  jobs().evaluate(id);
  mpirun_exits(id, 137, "killed");
  pass(5s);
  train(id);
  steps(id, 0, 1);
  v1::UpdateTrainingJobRequest change;
  change.set_id(id);
  change.mutable_settings()->set_max_steps(3);
  jobs().update(change);
  v1::ApplySettingsRequest apply;
  apply.set_job_id(id);
  apply.set_generation(2);
  apply.set_step(1);
  apply.set_version(1);
  ASSERT_EQ(calls().apply_settings(apply).end_step(), 3);
  steps(id, 1, 3);
  EXPECT_TRUE(job(id).open_requests().has_evaluation_step());
  report_evaluation(id, 3);
  EXPECT_FALSE(job(id).open_requests().has_evaluation_step());
}

TEST_F(Pauses, NothingIsOpenOnceTheJobHasEnded) {
  const auto id = running(1);
  jobs().checkpoint(id);
  EXPECT_TRUE(job(id).has_open_requests());
  jobs().cancel(id);
  mpirun_exits(id, 143);
  ASSERT_EQ(state(id), v1::JOB_STATE_CANCELLED);
  EXPECT_FALSE(job(id).has_open_requests());
}

// Their lines of metrics.jsonl are cut off with those of the steps that are done again.
TEST_F(Pauses, EvaluationsThatWereAskedForAreMadeAgainWhereTheirStepsAre) {
  v1::JobSpec spec = restarting_spec();
  spec.mutable_evaluation()->set_every_steps(4);
  const auto id = running(spec);
  report_evaluation(id, 0);
  steps(id, 0, 6);
  for (const std::int64_t step : {2, 3, 4, 6}) {
    jobs().evaluate(id);
    report_evaluation(id, step);
  }
  EXPECT_THAT(job(id).asked_evaluation_steps(), ElementsAre(2, 3, 6)) << "the one of step 4 is the job's own";
  mpirun_exits(id, 137, "killed");
  restart();  // and the coordinator was killed, too
  pass(5s);
  ASSERT_EQ(job(id).generation(), 2);
  train(id);
  EXPECT_THAT(evaluations_of_start(id, 2), ElementsAre(2, 3, 6));
  steps(id, 0, 2);
  report_evaluation(id, 2);
  const auto point = checkpoint(id);
  EXPECT_THAT(job(id).asked_evaluation_steps(), ElementsAre(2, 3, 6));
  mpirun_exits(id, 137, "killed");
  pass(5s);
  ASSERT_EQ(job(id).generation(), 3);
  auto start = start_request(id, 3);
  *start.mutable_resume() = point;
  auto registration = register_request(id, 0, 0, 1);
  registration.set_attempt_token(launcher_.started.back().token);
  calls().register_worker(registration);
  const auto answer = calls().start_training(start);
  EXPECT_THAT(answer.evaluation_steps(), ElementsAre(3, 6)) << "the checkpoint's metrics have the other one";
}

TEST_F(Pauses, TheNewestEvaluationsThatWereAskedForAreKept) {
  v1::TrainingJob job;
  for (std::int64_t step = 100; step > 0; --step) note_asked_evaluation(job, step);
  EXPECT_EQ(job.asked_evaluation_steps_size(), 64);
  for (std::int64_t step = 1000; step < 1100; ++step) note_asked_evaluation(job, step);
  EXPECT_EQ(job.asked_evaluation_steps_size(), 64);
  EXPECT_EQ(job.asked_evaluation_steps(0), 1036);
  EXPECT_EQ(job.asked_evaluation_steps(63), 1099);
}

TEST_F(Pauses, AnEvaluationIsAskedForByCount) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
  spec.mutable_data()->set_validation("validation.jsonl");
  const auto id = jobs().create(create_request(spec)).id();
  EXPECT_THAT(error_of([&] { jobs().evaluate(id); }).text, HasSubstr("only a RUNNING job can evaluate"));
  core_->attempts().tick();
  train(id);
  EXPECT_EQ(beat(id).evaluation_requests(), 0);
  jobs().evaluate(id);
  jobs().evaluate(id);
  EXPECT_EQ(beat(id).evaluation_requests(), 2);
  EXPECT_EQ(beat(id).checkpoint_requests(), 0);
  EXPECT_EQ(beat(id).command(), kContinue);
}

TEST_F(Pauses, AJobWithoutValidationPairsHasNothingToEvaluate) {
  const auto id = running(1);
  const auto refusal = error_of([&] { jobs().evaluate(id); });
  EXPECT_EQ(refusal.code, Code::kFailedPrecondition);
  EXPECT_THAT(refusal.text, HasSubstr("no validation pairs (data.validation)"));
  EXPECT_EQ(beat(id).evaluation_requests(), 0);
}

// A batch system that takes its nodes back sends SIGTERM.
TEST_F(Pauses, RanksThatLeaveUnaskedStartAgainWithoutUsingUpARestart) {
  const auto id = running(2, 1);
  v1::ResumePoint point;
  for (int round = 0; round < 3; ++round) {
    steps(id, static_cast<int>(job(id).step()), static_cast<int>(job(id).step()) + 2);
    point = leave_all(id);
    EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
    mpirun_exits(id, 0);
    ASSERT_EQ(state(id), v1::JOB_STATE_RECOVERING);
    EXPECT_EQ(store_->attempts(id).back().state, "LEFT");
    core_->attempts().tick();
    EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING) << "after 1 s";
    pass(1s);
    ASSERT_EQ(state(id), v1::JOB_STATE_STARTING);
    train(id, point);
  }
  EXPECT_EQ(restarts_by("preemption"), 3);
  EXPECT_EQ(job(id).restarts(), 3);
  mpirun_exits(id, 137);
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING) << "its one restart is still there";
}

TEST_F(Pauses, WorkersOfTheUserArePausedTooAndRegisterAgainOnceTheJobIsResumed) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  steps(id, 0, 3);
  EXPECT_EQ(jobs().pause(id).state(), v1::JOB_STATE_PAUSING);
  EXPECT_EQ(beat(id, 1).command(), kPause);
  const auto point = leave_all(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(reason(id), "paused at step 3 with a checkpoint");
  EXPECT_EQ(error_of([&] { train(id, point); }).code, Code::kFailedPrecondition);
  jobs().resume(id);
  train(id, point);
  EXPECT_EQ(job(id).step(), 3);
}

// They have waited for the new coordinator for too long.
TEST_F(Pauses, ARankOfTheUserThatRegistersLateWithANewCoordinatorIsRefused) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 2);
  spec.mutable_launch()->set_max_restarts(1);
  const auto id = jobs().create(create_request(spec)).id();
  train(id);
  restart();
  pass(31s);
  ASSERT_EQ(state(id), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(error_of([&] { calls().register_worker(register_request(id, 1, 1, 2)); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(beat(id, 1).command(), kExit);
  train(id);
  EXPECT_EQ(job(id).generation(), 2);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
}

TEST_F(Pauses, ALateRankOfALaunchedJobThatIsQueuedAgainBeginsNoAttempt) {
  const auto id = running(1);
  auto late = register_request(id, 0, 0, 1);
  late.set_attempt_token(launcher_.started.back().token);
  steps(id, 0, 3);
  jobs().pause(id);
  leave_all(id);
  mpirun_exits(id, 0);
  jobs().resume(id);
  ASSERT_EQ(state(id), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(error_of([&] { calls().register_worker(late); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(state(id), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job(id).generation(), 1);
}

TEST_F(Pauses, LateRanksOfTheUserThatWereNotLostAreToldToEnd) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))).id();
  calls().register_worker(register_request(id, 0, 0, 1));
  jobs().pause(id);
  core_->attempts().tick();
  ASSERT_EQ(state(id), v1::JOB_STATE_PAUSED);
  jobs().resume(id);
  ASSERT_EQ(state(id), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(beat(id).command(), kExit);
  EXPECT_EQ(error_of([&] { calls().start_training(start_request(id, 1)); }).code, Code::kFailedPrecondition);
  restart();
  EXPECT_EQ(beat(id).command(), kExit) << "nor does a new coordinator take them for new ones";
}

// As often as launch.max_restarts says.
TEST_F(Pauses, WorkersOfTheUserThatAreLostMayRegisterAgain) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_launch()->set_max_restarts(1);
  const auto id = jobs().create(create_request(spec)).id();
  train(id);
  steps(id, 0, 2);
  const auto late = step_request(id, 1, 2, {0.2, 1.0});
  pass(31s);
  EXPECT_EQ(state(id), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(
      reason(id),
      "rank 0 on host has not been heard of for 30 s; attempt 2 waits for its workers to register, restart 1 of 1 "
      "without a checkpoint between");
  EXPECT_EQ(beat(id).command(), kExit) << "a rank that was only slow";
  EXPECT_EQ(error_of([&] { calls().report_step(late); }).code, Code::kFailedPrecondition);
  pass(100s);
  EXPECT_EQ(state(id), v1::JOB_STATE_QUEUED);
  train(id);
  EXPECT_EQ(job(id).generation(), 2);
  EXPECT_EQ(job(id).restarts(), 1);
  EXPECT_EQ(error_of([&] { calls().report_step(late); }).code, Code::kFailedPrecondition);
  pass(31s);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(reason(id), HasSubstr("failed after 1 restart without a checkpoint between"));
}

TEST_F(Pauses, WorkersOfTheUserThatLeaveMayRegisterAgain) {
  const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  steps(id, 0, 3);
  const auto point = leave_all(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(reason(id), "left at step 3 with a checkpoint; waiting for its workers to register again");
  leave(id, 1, 3);  // its answer was lost
  pass(60s);
  EXPECT_EQ(state(id), v1::JOB_STATE_QUEUED);
  train(id, point);
  EXPECT_EQ(job(id).generation(), 2);
  EXPECT_EQ(job(id).step(), 3);
  steps(id, 3, 10);
  for (const int rank : {0, 1}) calls().finish_worker(finish_request(id, 2, rank, 'x'));
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
}

TEST_F(Pauses, AttemptsAndEventsNameTheStopOfTheCoordinatorWhereItsRanksEndFirst) {
  const auto id = running(1);
  steps(id, 0, 3);
  core_->attempts().begin_leaving();
  fail(id, v1::FAILURE_KIND_INFRASTRUCTURE);
  mpirun_exits(id, 143);
  EXPECT_FALSE(core_->attempts().are_leaving());
  core_->attempts().begin_shutdown();
  EXPECT_EQ(reason(id), "the coordinator was stopped; the job goes on when one starts");
  EXPECT_FALSE(job(id).has_failure());
  const std::vector<StoredAttempt> attempts = store_->attempts(id);
  ASSERT_EQ(attempts.size(), 1U);
  EXPECT_EQ(attempts[0].state, "STOPPED");
  EXPECT_EQ(attempts[0].cause, "the coordinator was stopped; the job goes on when one starts");
  for (const StoredEvent& event : store_->events(id, 0, 100)) {
    EXPECT_EQ(event.text.find("rank 0"), std::string::npos) << event.text;
    EXPECT_EQ(event.text.find("mpirun exited"), std::string::npos) << event.text;
  }
}

TEST_F(Pauses, ACoordinatorThatStopsLetsRanksLeaveFirst) {
  settings_.supervisor.max_running_jobs = 10;
  restart();
  const auto trains = running(1);
  steps(trains, 0, 3);
  const auto starts = queued();
  core_->attempts().tick();
  core_->attempts().begin_leaving();
  EXPECT_TRUE(core_->attempts().are_leaving());
  EXPECT_EQ(state(starts), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(beat(trains).command(), kPause);
  EXPECT_EQ(error_of([&] { queued(); }).code, Code::kUnavailable);
  leave_all(trains);
  EXPECT_TRUE(core_->attempts().are_leaving()) << "until mpirun has ended";
  mpirun_exits(trains, 0);
  EXPECT_FALSE(core_->attempts().are_leaving());
  pass(10s);
  EXPECT_EQ(state(trains), v1::JOB_STATE_RECOVERING) << "with the next one";
  core_->attempts().begin_shutdown();
  EXPECT_EQ(reason(trains),
            "the coordinator was stopped; the job goes on from the checkpoint of step 3 when one starts");
  restart();
  core_->attempts().tick();
  EXPECT_EQ(state(trains), v1::JOB_STATE_STARTING);
}

TEST_F(Pauses, ACoordinatorThatKeepsAttemptsKeepsThoseOfTheUserToo) {
  settings_.supervisor.max_running_jobs = 10;
  restart();
  const auto external = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))).id();
  train(external);
  steps(external, 0, 3);
  const auto kept = running(1);
  const auto starts = queued();
  core_->attempts().tick();
  core_->attempts().hold_launches();
  for (const std::string& id : {kept, external}) EXPECT_EQ(beat(id).command(), kContinue);
  EXPECT_EQ(state(starts), v1::JOB_STATE_STARTING);
  restart({{.job_id = kept, .generation = 1}, {.job_id = starts, .generation = 1}});
  EXPECT_EQ(state(external), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(state(kept), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(state(starts), v1::JOB_STATE_STARTING);
}

TEST_F(Pauses, ACoordinatorThatStopsDoesNotWaitForACheckpointThatCannotBeWritten) {
  const auto id = running(1);
  core_->attempts().begin_leaving();
  EXPECT_EQ(beat(id, 0, "no room").command(), kContinue);
  EXPECT_FALSE(core_->attempts().are_leaving());
  EXPECT_THAT(job(id).conditions(), Contains("could not leave after step 0: no room"));
  core_->attempts().begin_shutdown();
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
}

}  // namespace pause_test
}  // namespace equipoise::coordinator
