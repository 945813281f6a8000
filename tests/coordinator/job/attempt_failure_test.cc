// The record of a failure: which rank first, and what is told of it, in the job and with its attempt.
#include "coordinator/job/attempt_failure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/coordinator/support/controller_fixture.h"
#include "tests/coordinator/support/full_disk.h"

namespace equipoise::coordinator {
namespace attempt_failure_test {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class AttemptFailureTest : public ControllerFixture {
 protected:
  // Of two ranks with three steps done, that may start again.
  std::string training_job() {
    auto spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 2);
    spec.mutable_launch()->set_max_restarts(3);
    const auto id = running_job(spec);
    do_three_steps(id, 1);
    return id;
  }
  void do_three_steps(const std::string& id, std::int64_t generation) {
    for (int step = 0; step < 3; ++step) calls().report_step(step_request(id, generation, step, {0.2, 1.0}));
    for (const int rank : {0, 1}) {
      auto beat = heartbeat_request(id, generation, rank);
      beat.set_rank_phase(v1::RANK_PHASE_TRAINING);
      beat.set_progress(1);
      beat.set_step(3);
      beat.set_last_collective(rank == 0 ? "broadcast" : "all_reduce_sum");
      calls().heartbeat(beat);
    }
  }
  void exits(const std::string& id, int code, std::optional<RankEnd> first_end, const std::string& log = "") {
    core_->attempts().handle_exit({.attempt = {.job_id = id, .generation = job(id).generation()},
                                   .exit_code = code,
                                   .last_line = "it ended",
                                   .first_end = std::move(first_end),
                                   .log = log});
  }
  void fails(const std::string& id, int rank, v1::FailureKind kind) {
    v1::FailWorkerRequest request;
    request.set_job_id(id);
    request.set_generation(job(id).generation());
    request.set_rank(rank);
    request.set_reason("lost its peer");
    request.set_kind(kind);
    calls().fail_worker(request);
  }
  // The next attempt of the job, with both ranks in training.
  void start_again(const std::string& id) {
    pass(70s);
    const std::int64_t generation = job(id).generation();
    for (int rank = 0; rank < 2; ++rank) {
      auto request = register_request(id, rank == 0 ? 0 : generation, rank, 2);
      request.set_attempt_token(launcher_.started.back().token);
      calls().register_worker(request);
    }
    calls().start_training(start_request(id, generation));
    do_three_steps(id, generation);
  }
};

TEST_F(AttemptFailureTest, OfAKilledRankHasRankSignalHostPhaseStepCollectiveAndLog) {
  const auto id = training_job();
  exits(id, 137, RankEnd{.rank = 1, .host = "elsewhere", .signal = 9}, "one\n\x1B[31mtwo\n----------------------\n");
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  const v1::AttemptFailure& failure = job(id).failure();
  EXPECT_EQ(failure.generation(), 1);
  EXPECT_EQ(failure.kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_EQ(failure.reason(), "mpirun exited with code 137: it ended");
  EXPECT_EQ(failure.rank(), 1);
  EXPECT_EQ(failure.host(), "host") << "as it registered";
  EXPECT_EQ(failure.signal(), 9);
  EXPECT_FALSE(failure.has_exit_code());
  EXPECT_EQ(failure.phase(), v1::RANK_PHASE_TRAINING);
  EXPECT_EQ(failure.step(), 3);
  EXPECT_EQ(failure.last_collective(), "all_reduce_sum");
  EXPECT_THAT(failure.log_lines(), ElementsAre("one", " [31mtwo"));
}

TEST_F(AttemptFailureTest, IsStoredWithTheAttemptAndOutlivesARestart) {
  const auto id = training_job();
  exits(id, 137, RankEnd{.rank = 1, .signal = 9}, "the end\n");
  restart();
  EXPECT_EQ(job(id).failure().rank(), 1);
  const std::vector<StoredAttempt> attempts = store_->attempts(id);
  ASSERT_THAT(attempts, SizeIs(1));
  ASSERT_TRUE(attempts[0].failure);
  EXPECT_EQ(attempts[0].failure->signal(), 9);
  EXPECT_THAT(attempts[0].failure->log_lines(), ElementsAre("the end"));
}

// Its revision would fall where the coordinator is killed, as that of a final job does not grow at a restart.
TEST_F(AttemptFailureTest, OfAFinalJobIsShownOnceItIsStored) {
  const auto id = training_job();
  fails(id, 0, v1::FAILURE_KIND_INVALID_INPUT);
  ASSERT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  const auto before = job(id);
  {
    const RefusingDisk full;
    exits(id, 2, std::nullopt, "the end\n");
    core_->attempts().tick();
    EXPECT_EQ(job(id).SerializeAsString(), before.SerializeAsString());
  }
  core_->attempts().tick();
  const auto after = job(id);
  EXPECT_EQ(after.revision(), before.revision() + 1);
  EXPECT_THAT(after.failure().log_lines(), ElementsAre("the end"));
  restart();
  EXPECT_EQ(job(id).revision(), after.revision());
  EXPECT_THAT(job(id).failure().log_lines(), ElementsAre("the end"));
}

// The peer of a killed rank may be heard first.
TEST_F(AttemptFailureTest, NamesTheKilledRankAndNotThePeerThatLostIt) {
  const auto id = training_job();
  fails(id, 0, v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_EQ(job(id).failure().rank(), 0);
  exits(id, 137, RankEnd{.rank = 1, .signal = 9});
  EXPECT_EQ(job(id).failure().rank(), 1);
  EXPECT_EQ(job(id).failure().signal(), 9);
  EXPECT_EQ(job(id).failure().last_collective(), "all_reduce_sum");
}

TEST_F(AttemptFailureTest, WhatARankSaysOfItsOwnInputStaysTheCause) {
  const auto id = training_job();
  fails(id, 0, v1::FAILURE_KIND_INVALID_INPUT);
  exits(id, 2, RankEnd{.rank = 1, .signal = 15});
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(id).failure().rank(), 0);
  EXPECT_EQ(job(id).failure().kind(), v1::FAILURE_KIND_INVALID_INPUT);
  EXPECT_FALSE(job(id).failure().has_signal());
}

TEST_F(AttemptFailureTest, ASignalOfOursIsNoCause) {
  const auto id = training_job();
  for (int second = 0; second < 31; ++second) {
    calls().heartbeat(heartbeat_request(id, 1, 0));
    pass(1s);
  }
  ASSERT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(job(id).failure().rank(), 1);
  pass(15s);
  ASSERT_THAT(launcher_.killed, SizeIs(1));
  exits(id, 137, RankEnd{.rank = 0, .signal = 9});
  EXPECT_EQ(job(id).failure().rank(), 1);
  EXPECT_FALSE(job(id).failure().has_signal());
}

TEST_F(AttemptFailureTest, StaysWhenTheNextAttemptGoesOn) {
  const auto id = training_job();
  exits(id, 137, RankEnd{.rank = 1, .signal = 9});
  start_again(id);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(id).failure().generation(), 1);
}

TEST_F(AttemptFailureTest, TheSameStepThatCrashesTwiceIsTheJobsOwnFailureWithItsBatch) {
  const auto id = training_job();
  exits(id, 134, RankEnd{.rank = 1, .signal = 6});
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
  start_again(id);
  exits(id, 139, RankEnd{.rank = 0, .signal = 11});
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED) << "another signal of another rank, at the same step";
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_PROGRAM);
  // 6 pairs in batches of 4: step 3 is the second batch of the second epoch.
  EXPECT_THAT(job(id).state_reason(),
              HasSubstr("failed twice in a row at step 3, alike, whose batch is pairs 5 to 6 of epoch 2, which are"));
  EXPECT_THAT(job(id).state_reason(), HasSubstr("; last: mpirun exited with code 139"));
  EXPECT_THAT(job(id).state_reason(), HasSubstr("; before: mpirun exited with code 134"));
  v1::ListAttemptsRequest request;
  request.set_id(id);
  const v1::ListAttemptsResponse attempts = core_->history().attempts(request);
  ASSERT_EQ(attempts.attempts_size(), 2);
  EXPECT_EQ(attempts.attempts(0).failure().signal(), 6) << "each keeps its own";
  EXPECT_EQ(attempts.attempts(1).failure().signal(), 11);
}

TEST_F(AttemptFailureTest, ACrashIsKnownAfterARestartOfTheCoordinator) {
  const auto id = training_job();
  exits(id, 134, RankEnd{.rank = 1, .signal = 6});
  restart();
  start_again(id);
  exits(id, 134, RankEnd{.rank = 1, .signal = 6});
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("failed twice in a row at step 3"));
}

TEST_F(AttemptFailureTest, ARankThatIsKilledTwiceAtOneStepIsNoFailureOfTheJob) {
  const auto id = training_job();
  for (int attempt = 0; attempt < 2; ++attempt) {
    exits(id, 137, RankEnd{.rank = 1, .signal = 9});
    EXPECT_EQ(job(id).state(), v1::JOB_STATE_RECOVERING);
    start_again(id);
  }
}

TEST(NewestLogLines, AreThoseOfTheRankAndOfNobody) {
  const std::string stamp = "2026-01-31T12:00:00.000Z info equipoise-worker";
  const std::string log = stamp + "[17]: of the rank\n" + stamp + "[18]: of another\nof anybody\n\n-----\n";
  EXPECT_THAT(newest_log_lines(log, {18}), ElementsAre(stamp + "[17]: of the rank", "of anybody"));
  EXPECT_THAT(newest_log_lines("", {}), SizeIs(0));
  EXPECT_THAT(newest_log_lines("without end", {}), ElementsAre("without end"));
}

TEST(NewestLogLines, AreBoundedAndHarmless) {
  std::string many;
  for (int line = 0; line < 100; ++line) many += "line " + std::to_string(line) + "\n";
  const auto newest = newest_log_lines(many, {});
  ASSERT_THAT(newest, SizeIs(20));
  EXPECT_EQ(newest.front(), "line 80");
  EXPECT_EQ(newest.back(), "line 99");
  std::size_t bytes = 0;
  std::string wide;
  for (int line = 0; line < 30; ++line) wide += std::string(100'000, 'x') + "\n";
  for (const std::string& line : newest_log_lines(wide, {})) {
    EXPECT_LE(line.size(), 512u);
    bytes += line.size();
  }
  EXPECT_LE(bytes, 4096u);
  EXPECT_GT(bytes, 0u);
  // 511 bytes and a character of two: it is left out, and nothing else.
  EXPECT_THAT(newest_log_lines(std::string(511, 'x') + "\xC3\xA9 and more", {}), ElementsAre(std::string(511, 'x')));
  for (const std::string& line : newest_log_lines("\xff\xfe\n\x1B]0;title\x07\nback\x08\n", {})) {
    EXPECT_TRUE(std::ranges::none_of(line, [](unsigned char c) { return c < 0x20 || c == 0x7F || c == 0xFF; })) << line;
  }
}

}  // namespace attempt_failure_test
}  // namespace equipoise::coordinator
