// A coordinator that starts goes on with the attempts that an earlier one has left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/coordinator/support/controller_fixture.h"
#include "tests/coordinator/support/full_disk.h"

namespace equipoise::coordinator {
namespace attempt_takeover_test {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using Code = Refusal::Code;
using Command = v1::HeartbeatResponse;

std::vector<double> losses_of(int step) { return {0.2 + 0.01 * step, 1.0 / (1 + step)}; }

class TakenOver : public ControllerFixture {
 protected:
  std::string queued(int workers) {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, workers);
    spec.mutable_launch()->set_max_restarts(3);
    return jobs().create(create_request(spec)).id();
  }
  std::string starting(int workers) {
    const std::string id = queued(workers);
    core_->attempts().tick();
    token_ = launcher_.started.back().token;
    return id;
  }
  void register_rank(const std::string& id, int rank, int workers) {
    auto request = register_request(id, rank == 0 ? 0 : 1, rank, workers);
    request.set_attempt_token(token_);
    calls().register_worker(request);
  }
  std::string running(int workers) {
    const std::string id = starting(workers);
    for (int rank = 0; rank < workers; ++rank) register_rank(id, rank, workers);
    calls().start_training(start_request(id, 1));
    return id;
  }
  void steps(const std::string& id, int first, int end) {
    for (int step = first; step < end; ++step) calls().report_step(step_request(id, 1, step, losses_of(step)));
  }
  Command beat(const std::string& id, int rank) { return calls().heartbeat(heartbeat_request(id, 1, rank)); }
  void come_back(const std::string& id, int workers) {
    for (int rank = 0; rank < workers; ++rank) EXPECT_EQ(beat(id, rank).command(), Command::COMMAND_CONTINUE) << rank;
  }
  void finish(const std::string& id, int rank) { calls().finish_worker(finish_request(id, 1, rank, 'x')); }
  void leave(const std::string& id, int rank, int step) {
    v1::LeaveWorkerRequest request;
    request.set_job_id(id);
    request.set_generation(1);
    request.set_rank(rank);
    request.set_step(step);
    calls().leave_worker(request);
  }
  static AttemptKey first_attempt(const std::string& id) { return {.job_id = id, .generation = 1}; }
  // The coordinator is killed, and another one finds the first attempt.
  void take_over(const std::string& id) { restart({first_attempt(id)}); }
  std::string weights(const std::string& id) {
    v1::GetGroupWeightsRequest request;
    request.set_job_id(id);
    request.set_generation(1);
    return calls().group_weights(request).state().SerializeAsString();
  }
  v1::JobState state(const std::string& id) { return job(id).state(); }
  std::string reason(const std::string& id) { return job(id).state_reason(); }

  std::string token_;
};

TEST_F(TakenOver, ARunningJobGoesOnInItsGeneration) {
  const auto undisturbed = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
  for (int step = 0; step < 10; ++step) calls().report_step(step_request(undisturbed, 1, step, losses_of(step)));
  const std::string wanted = weights(undisturbed);

  const auto id = running(2);
  steps(id, 0, 4);
  const auto answer = calls().report_step(step_request(id, 1, 3, losses_of(3)));
  const auto revision = job(id).revision();
  take_over(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(id).generation(), 1);
  EXPECT_EQ(job(id).step(), 4);
  EXPECT_GT(job(id).revision(), revision);
  EXPECT_THAT(job(id).conditions(), Contains("the coordinator was away, and attempt 1 has waited for it"));
  calls().check_token(id, token_);
  for (const std::string& wrong : {std::string(), std::string("anything"), token_ + "0"}) {
    EXPECT_EQ(error_of([&] { calls().check_token(id, wrong); }).code, Code::kPermissionDenied) << wrong;
  }
  // The answer to the last step was lost with the coordinator, and the report before the first heartbeat.
  EXPECT_EQ(calls().report_step(step_request(id, 1, 3, losses_of(3))).SerializeAsString(), answer.SerializeAsString());
  steps(id, 4, 7);
  come_back(id, 2);
  pass(29s);
  come_back(id, 2);
  pass(20s);
  take_over(id);  // again
  EXPECT_THAT(job(id).conditions(), SizeIs(1));
  come_back(id, 2);
  steps(id, 7, 10);
  EXPECT_EQ(weights(id), wanted);
  for (const int rank : {0, 1}) finish(id, rank);
  mpirun_exits(id, 0);
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job(id).restarts(), 0);
  EXPECT_THAT(launcher_.started, IsEmpty());
  EXPECT_THAT(launcher_.terminated, IsEmpty());
  EXPECT_THAT(launcher_.forgotten, ElementsAre(first_attempt(id)));
}

// It was shown with a later revision, which the next coordinator then showed once more, with less in it.
TEST_F(TakenOver, ThatAnAttemptIsTakenOverIsStoredBeforeItIsShown) {
  const auto id = running(1);
  steps(id, 0, 2);
  take_over(id);
  const auto shown = job(id).revision();
  core_.reset();
  {
    const RefusingDisk full;
    EXPECT_THROW(core_.emplace(settings_, Dependencies{.clock = clock_,
                                                       .random_source = random_source_,
                                                       .store = *store_,
                                                       .metrics = *metrics_,
                                                       .launcher = launcher_}),
                 StoreError);
  }
  take_over(id);
  EXPECT_GT(job(id).revision(), shown);
  EXPECT_EQ(store_->jobs().front().job.revision(), job(id).revision());
  EXPECT_EQ(job(id).generation(), 1);
}

TEST_F(TakenOver, RanksThatDoNotComeBackCostTheAttempt) {
  const auto id = running(2);
  steps(id, 0, 2);
  take_over(id);
  pass(20s);
  EXPECT_EQ(beat(id, 0).command(), Command::COMMAND_CONTINUE);
  pass(10s);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  pass(1s);
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(reason(id), HasSubstr("rank 1 has not been heard of within 30 s of the coordinator's start; attempt 2 "));
  EXPECT_EQ(store_->attempts(id).back().state, "LOST");
  EXPECT_EQ(beat(id, 0).command(), Command::COMMAND_EXIT);
  pass(5s);
  EXPECT_THAT(launcher_.terminated, ElementsAre(first_attempt(id)));
  EXPECT_THAT(launcher_.started, IsEmpty()) << "before the processes have ended";
  mpirun_exits(id, 143);
  pass(2s);
  ASSERT_THAT(launcher_.started, SizeIs(1));
  EXPECT_EQ(launcher_.started[0].attempt.generation, 2);
  EXPECT_EQ(error_of([&] { calls().check_token(id, token_); }).code, Code::kPermissionDenied) << "that of attempt 1";
}

TEST_F(TakenOver, AStartingJobGoesOnToo) {
  const auto id = starting(2);
  for (const int rank : {0, 1}) register_rank(id, rank, 2);
  take_over(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
  // Rank 0 may be quicker than the heartbeat of rank 1.
  EXPECT_EQ(error_of([&] { calls().start_training(start_request(id, 1)); }).code, Code::kUnavailable);
  come_back(id, 2);
  calls().start_training(start_request(id, 1));
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  steps(id, 0, 10);
}

TEST_F(TakenOver, RanksOfAStartingJobMayRegisterWithEither) {
  const auto id = starting(3);
  register_rank(id, 0, 3);
  take_over(id);
  for (const int rank : {0, 1}) register_rank(id, rank, 3);  // rank 0 has not got the answer
  auto other = register_request(id, 1, 1, 3);
  other.set_attempt_token(token_);
  other.set_pid(other.pid() + 1);
  EXPECT_EQ(error_of([&] { calls().register_worker(other); }).code, Code::kFailedPrecondition);
  other.set_attempt_token("anything");
  EXPECT_EQ(error_of([&] { calls().register_worker(other); }).code, Code::kPermissionDenied);
  for (int tens = 0; tens < 14; ++tens) {
    for (const int rank : {0, 1}) beat(id, rank);
    pass(10s);
  }
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(reason(id), HasSubstr("rank 2 has not registered within 120 s"));
}

TEST_F(TakenOver, WhatRanksHaveSaidAtTheirEndCounts) {
  const auto id = running(2);
  steps(id, 0, 10);
  auto first = finish_request(id, 1, 0, 'x');
  first.set_ledger_chain(std::string(32, 'c'));
  calls().finish_worker(first);  // and is gone
  take_over(id);
  finish(id, 1);
  pass(31s);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  take_over(id);  // all have finished
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  pass(31s);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING) << "nobody is waited for";
  core_->attempts().handle_exit({.attempt = first_attempt(id), .exit_code = 0, .last_line = "", .was_away = true});
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job(id).ledger_chain(), std::string(32, 'c'));
}

TEST_F(TakenOver, AnotherDigestIsFoundOverARestartToo) {
  const auto id = running(2);
  steps(id, 0, 10);
  finish(id, 0);
  take_over(id);
  EXPECT_EQ(error_of([&] { calls().finish_worker(finish_request(id, 1, 1, 'y')); }).code, Code::kAborted);
  EXPECT_EQ(state(id), v1::JOB_STATE_FAILED);
}

TEST_F(TakenOver, AnAttemptThatEndedMeanwhileIsSettledByItsExitCode) {
  for (const int code : {75, 137}) {
    const auto id = running(1);
    steps(id, 0, 3);
    take_over(id);
    core_->attempts().handle_exit({.attempt = first_attempt(id), .exit_code = code, .last_line = "", .was_away = true});
    EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
    EXPECT_EQ(store_->attempts(id).back().state, code == 75 ? "LOST" : "FAILED");
    EXPECT_THAT(reason(id), HasSubstr(code == 75 ? "the coordinator was away for longer than its ranks wait"
                                                 : "mpirun exited with code 137"));
    EXPECT_THAT(launcher_.forgotten, ElementsAre(first_attempt(id)));
    pass(5s);
    EXPECT_THAT(launcher_.started, SizeIs(1));
    jobs().cancel(id);
    mpirun_exits(id, 143);
  }
}

TEST_F(TakenOver, APauseGoesOn) {
  const auto id = running(1);
  steps(id, 0, 3);
  jobs().pause(id);
  take_over(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSING);
  EXPECT_EQ(beat(id, 0).command(), Command::COMMAND_PAUSE);
  calls().commit_checkpoint(commit_request(id, 1, 3));
  leave(id, 0, 3);
  take_over(id);
  mpirun_exits(id, 0);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
  EXPECT_EQ(reason(id), "paused at step 3 with a checkpoint");
  restart();  // an upgrade
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
}

TEST_F(TakenOver, APauseBeforeTrainingEndsTheProcesses) {
  const auto id = starting(1);
  jobs().pause(id);
  take_over(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSING);
  pass(5s);
  EXPECT_THAT(launcher_.terminated, ElementsAre(first_attempt(id)));
  mpirun_exits(id, 143);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
}

TEST_F(TakenOver, ACancelGoesOn) {
  const auto id = running(1);
  jobs().cancel(id);
  take_over(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_CANCELLING);
  EXPECT_EQ(beat(id, 0).command(), Command::COMMAND_EXIT);
  core_->attempts().tick();
  EXPECT_THAT(launcher_.terminated, ElementsAre(first_attempt(id)));
  mpirun_exits(id, 143);
  EXPECT_EQ(state(id), v1::JOB_STATE_CANCELLED);
}

// Its attempt has failed, and the coordinator was lost before the processes had ended.
TEST_F(TakenOver, WhatIsLeftOfAFailedAttemptIsEndedBeforeTheNext) {
  const auto id = running(1);
  v1::FailWorkerRequest failure;
  failure.set_job_id(id);
  failure.set_generation(1);
  failure.set_kind(v1::FAILURE_KIND_INFRASTRUCTURE);
  failure.set_reason("no answer");
  calls().fail_worker(failure);
  ASSERT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  take_over(id);
  EXPECT_EQ(state(id), v1::JOB_STATE_RECOVERING);
  pass(10s);
  EXPECT_THAT(launcher_.terminated, ElementsAre(first_attempt(id)));
  EXPECT_THAT(launcher_.started, IsEmpty());
  mpirun_exits(id, 143);
  pass(2s);
  EXPECT_THAT(launcher_.started, SizeIs(1));
}

TEST_F(TakenOver, WhatIsLeftOfJobsThatAreOverOrGoneIsEnded) {
  const auto id = running(1);
  jobs().cancel(id);
  mpirun_exits(id, 143);
  ASSERT_EQ(state(id), v1::JOB_STATE_CANCELLED);
  const AttemptKey gone{.job_id = "gone-00000000", .generation = 7};
  restart({gone, first_attempt(id)});
  pass(5s);
  EXPECT_THAT(launcher_.terminated, UnorderedElementsAre(gone, first_attempt(id)));
  for (const AttemptKey& key : {gone, first_attempt(id)}) {
    core_->attempts().handle_exit({.attempt = key, .exit_code = 143, .last_line = ""});
  }
  EXPECT_THAT(launcher_.forgotten, ElementsAre(gone, first_attempt(id)));
  EXPECT_FALSE(core_->attempts().has_live_attempts());
  EXPECT_EQ(state(id), v1::JOB_STATE_CANCELLED);
}

// What a host that was lost has answered to the coordinator before: it kept a place of a job for ever.
TEST_F(TakenOver, AQuestionToAHostIsNoAttempt) {
  const AttemptKey question{.job_id = "host node1", .generation = 1};
  restart({question});
  EXPECT_FALSE(core_->attempts().has_live_attempts());
  core_->attempts().handle_exit({.attempt = question, .exit_code = 0, .last_line = "", .was_away = true});
  EXPECT_THAT(launcher_.forgotten, ElementsAre(question));
  EXPECT_THAT(launcher_.terminated, IsEmpty());
}

TEST_F(TakenOver, WhatWasAskedForBeforeAndMeanwhileIsCountedOn) {
  const auto id = running(1);
  steps(id, 0, 1);
  jobs().checkpoint(id);
  EXPECT_EQ(beat(id, 0).checkpoint_requests(), 1);
  jobs().checkpoint(id);  // of which no rank has heard
  take_over(id);
  jobs().checkpoint(id);
  come_back(id, 1);
  EXPECT_EQ(beat(id, 0).checkpoint_requests(), 3);
  EXPECT_EQ(job(id).open_requests().checkpoint_step(), 1);
}

TEST_F(TakenOver, ItKeepsItsSlots) {
  settings_.supervisor.hosts = {{.name = "node1", .slots = 2}, {.name = "node2", .slots = 1}};
  settings_.supervisor.max_running_jobs = 10;
  restart();
  const auto id = running(3);
  const auto younger = queued(1);
  settings_.supervisor.hosts = {{.name = "node1", .slots = 1}, {.name = "node3", .slots = 1}};  // of other machines
  take_over(id);
  come_back(id, 3);
  core_->attempts().tick();
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(reason(younger), "waiting for 1 free slots; 0 of 2 are free");
  steps(id, 0, 10);
  for (const int rank : {0, 1, 2}) finish(id, rank);
  mpirun_exits(id, 0);
  core_->attempts().tick();
  EXPECT_EQ(state(younger), v1::JOB_STATE_STARTING);
}

// What people find in the database, and what the next coordinator needs of it.
TEST_F(TakenOver, AnAttemptHasItsLauncherInALineAndItsHostsApart) {
  settings_.supervisor.hosts = {{.name = "node1", .slots = 2}, {.name = "node2", .slots = 1}};
  settings_.supervisor.launcher = "mpirun --hostfile /etc/equipoise\n" + std::string(5000, 'x');
  restart();
  const auto id = running(3);
  const StoredAttempt attempt = store_->attempts(id).at(0);
  EXPECT_THAT(attempt.launcher, StartsWith("mpirun --hostfile /etc/equipoise xxx"));
  EXPECT_LE(attempt.launcher.size(), 512U);
  EXPECT_EQ(attempt.placement, "node1 slots=2\nnode2 slots=1\n");
  take_over(id);
  come_back(id, 3);
  EXPECT_EQ(core_->attempts().hosts().at(0).used_slots, 2);
  EXPECT_EQ(core_->attempts().hosts().at(1).used_slots, 1);
}

// A program before schema 10 had them in the launcher's place.
TEST_F(TakenOver, AnAttemptOfAnEarlierProgramKeepsItsSlots) {
  settings_.supervisor.hosts = {{.name = "node1", .slots = 2}, {.name = "node2", .slots = 1}};
  restart();
  const auto id = running(3);
  Database(folder_.path() / "test.sqlite3").execute("UPDATE attempts SET launcher = placement, placement = NULL");
  take_over(id);
  come_back(id, 3);
  EXPECT_EQ(core_->attempts().hosts().at(0).used_slots, 2);
  EXPECT_EQ(core_->attempts().hosts().at(1).used_slots, 1);
}

// Of a user, whose mpirun no launcher can find.
class TakenOverFromUser : public TakenOver {
 protected:
  std::string external(int workers, int max_restarts = 3) {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, workers);
    spec.mutable_launch()->set_max_restarts(max_restarts);
    return jobs().create(create_request(spec)).id();
  }
  std::string training(int workers, int max_restarts = 3) {
    const std::string id = external(workers, max_restarts);
    for (int rank = 0; rank < workers; ++rank) register_rank(id, rank, workers);
    calls().start_training(start_request(id, 1));
    return id;
  }
  // Rank 0 of another mpirun of the user's.
  v1::RegisterWorkerRequest other_rank_0(const std::string& id, int workers) {
    auto request = register_request(id, 0, 0, workers);
    request.set_pid(request.pid() + 100);
    return request;
  }
  void is_refused(const v1::RegisterWorkerRequest& request) {
    const CallError refused = error_of([&] { calls().register_worker(request); });
    EXPECT_EQ(refused.code, Code::kFailedPrecondition);
    EXPECT_THAT(refused.text, HasSubstr("has a live attempt, whose rank 0 is another process"));
  }
};

TEST_F(TakenOverFromUser, ARunningJobGoesOnInItsGeneration) {
  const auto undisturbed = training(2);
  steps(undisturbed, 0, 10);
  const std::string wanted = weights(undisturbed);

  const auto id = training(2, 0);
  steps(id, 0, 4);
  const auto answer = calls().report_step(step_request(id, 1, 3, losses_of(3)));
  for (const int end : {7, 10}) {
    restart();
    EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
    EXPECT_EQ(job(id).generation(), 1);
    EXPECT_THAT(job(id).conditions(), ElementsAre("the coordinator was away, and attempt 1 has waited for it"));
    is_refused(other_rank_0(id, 2));
    EXPECT_EQ(calls().report_step(step_request(id, 1, 3, losses_of(3))).SerializeAsString(),
              answer.SerializeAsString());
    is_refused(other_rank_0(id, 2));
    steps(id, end - 3, end);
    come_back(id, 2);
    pass(29s);
    come_back(id, 2);
    pass(20s);
  }
  steps(id, 9, 10);
  EXPECT_EQ(weights(id), wanted);
  for (const int rank : {0, 1}) finish(id, rank);
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job(id).restarts(), 0);
  EXPECT_THAT(launcher_.started, IsEmpty());
}

TEST_F(TakenOverFromUser, RanksThatDoNotComeBackCostTheAttempt) {
  const auto id = training(2), once = training(2, 0);
  steps(id, 0, 2);
  restart();
  pass(20s);
  beat(id, 0);
  pass(11s);
  EXPECT_EQ(state(id), v1::JOB_STATE_QUEUED);
  EXPECT_THAT(reason(id), HasSubstr("rank 1 has not been heard of within 30 s of the coordinator's start; attempt 2 "
                                    "waits for its workers to register"));
  EXPECT_EQ(state(once), v1::JOB_STATE_FAILED);
  EXPECT_EQ(beat(id, 0).command(), Command::COMMAND_EXIT);
  EXPECT_EQ(calls().register_worker(other_rank_0(id, 2)).generation(), 2);
  EXPECT_EQ(error_of([&] { beat(id, 0); }).code, Code::kFailedPrecondition) << "STALE_GENERATION";
}

TEST_F(TakenOverFromUser, AStartingJobIsThatOfTheSameMpirunOnly) {
  const auto id = external(3);
  register_rank(id, 0, 3);
  register_rank(id, 1, 3);
  restart();
  EXPECT_EQ(state(id), v1::JOB_STATE_STARTING);
  is_refused(other_rank_0(id, 3));
  register_rank(id, 0, 3);  // its answer was lost
  register_rank(id, 2, 3);
  EXPECT_EQ(error_of([&] { calls().start_training(start_request(id, 1)); }).code, Code::kUnavailable);
  come_back(id, 3);
  calls().start_training(start_request(id, 1));
  steps(id, 0, 10);
  EXPECT_EQ(state(id), v1::JOB_STATE_RUNNING);
}

TEST_F(TakenOverFromUser, TheLastWordsOfRanksCountAndMayBeRepeated) {
  const auto id = training(2);
  steps(id, 0, 10);
  finish(id, 0);
  restart();
  finish(id, 0);
  finish(id, 1);
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
  restart();
  finish(id, 1);
  EXPECT_EQ(error_of([&] { calls().finish_worker(finish_request(id, 1, 1, 'y')); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(state(id), v1::JOB_STATE_SUCCEEDED);
}

// The coordinator was killed between the last word of the last rank and what follows from it.
TEST_F(TakenOverFromUser, LastWordsOnRecordEndTheAttempt) {
  const auto finished = training(1), left = training(1);
  steps(finished, 0, 10);
  steps(left, 0, 3);
  jobs().pause(left);
  calls().commit_checkpoint(commit_request(left, 1, 3));
  store_->finish_rank(finished, 1, {.rank = 0, .step = 10, .digest = std::string(32, 'x')});
  store_->finish_rank(left, 1, {.rank = 0, .step = 3});
  restart();
  EXPECT_EQ(state(finished), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(state(left), v1::JOB_STATE_PAUSED);
  finish(finished, 0);
  leave(left, 0, 3);
}

TEST_F(TakenOverFromUser, APauseGoesOn) {
  const auto id = training(2);
  steps(id, 0, 3);
  jobs().pause(id);
  restart();
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSING);
  EXPECT_EQ(beat(id, 0).command(), Command::COMMAND_PAUSE);
  calls().commit_checkpoint(commit_request(id, 1, 3));
  for (const int rank : {0, 1}) leave(id, rank, 3);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
  restart();
  leave(id, 1, 3);  // its answer was lost
  EXPECT_EQ(error_of([&] { leave(id, 1, 2); }).code, Code::kFailedPrecondition);
  EXPECT_EQ(state(id), v1::JOB_STATE_PAUSED);
}

TEST_F(TakenOverFromUser, ACancelGoesOn) {
  const auto id = training(1);
  jobs().cancel(id);
  restart();
  EXPECT_EQ(state(id), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(beat(id, 0).command(), Command::COMMAND_EXIT);
}

}  // namespace attempt_takeover_test
}  // namespace equipoise::coordinator
