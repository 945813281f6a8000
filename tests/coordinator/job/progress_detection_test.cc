// Ranks that are heard of and do not go on: who is given up, when, and who is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace progress_detection_test {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr bool kWaits = true, kWorks = false;

class ProgressDetection : public ControllerFixture {
 protected:
  // A job of two ranks that are in `phase`.
  std::string job_in(v1::RankPhase phase) {
    const auto id = running_job(v1::LAUNCH_MODE_EXTERNAL, 2);
    for (const int rank : {0, 1}) beat(id, rank, phase, kWorks);
    return id;
  }
  void beat(const std::string& id, int rank, v1::RankPhase phase, bool waits, std::int64_t progress = 1) {
    auto request = heartbeat_request(id, 1, rank);
    request.set_rank_phase(phase);
    request.set_progress(progress);
    request.set_step(job(id).step());
    request.set_last_collective("all_reduce_sum");
    request.set_is_in_collective(waits);
    calls().heartbeat(request);
  }
  // Both ranks are heard of and stand still: rank 0 in a collective, rank 1 not.
  void stand_still(const std::string& id, v1::RankPhase phase, std::chrono::seconds duration) {
    for (std::chrono::seconds second{0}; second < duration; ++second) {
      beat(id, 0, phase, kWaits);
      beat(id, 1, phase, kWorks);
      pass(1s);
    }
  }
  // Steps of 1 s each.
  void do_steps(const std::string& id, int count) {
    for (int i = 0; i < count; ++i) {
      calls().report_step(step_request(id, 1, job(id).step(), {0.2, 1.0}));
      for (const int rank : {0, 1}) beat(id, rank, v1::RANK_PHASE_TRAINING, kWorks, 100 + job(id).step());
      pass(1s);
    }
  }
};

TEST_F(ProgressDetection, ARankThatStandsStillInAStepIsGivenUpAndNotTheOneThatWaitsForIt) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  do_steps(id, 3);
  stand_still(id, v1::RANK_PHASE_TRAINING, 30s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  stand_still(id, v1::RANK_PHASE_TRAINING, 2s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(job(id).failure_kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("rank 1 on host has stood still for "));
  EXPECT_THAT(job(id).state_reason(), HasSubstr("s in training, after step 3; its last collective was all_reduce_sum"));
}

// The deadline was an hour for all of it: a rank that hung there was found after an hour, and a model that took longer
// to load could not be loaded.
TEST_F(ProgressDetection, LoadingAModelMayTakeAsLongAsItGoesOn) {
  constexpr auto kPhase = v1::RANK_PHASE_LOADING_MODEL;
  const auto id = job_in(kPhase);
  for (int tensor = 2; tensor < 20; ++tensor) {
    stand_still(id, kPhase, 590s);
    for (const int rank : {0, 1}) beat(id, rank, kPhase, kWorks, tensor);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  stand_still(id, kPhase, 602s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("rank 1 on host has stood still for 60"));
  EXPECT_THAT(job(id).state_reason(), HasSubstr("in loading model"));
}

TEST_F(ProgressDetection, AShortStandstillIsNoFailure) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  do_steps(id, 3);
  for (int round = 0; round < 4; ++round) {
    stand_still(id, v1::RANK_PHASE_TRAINING, 25s);
    beat(id, 1, v1::RANK_PHASE_TRAINING, kWorks, 1000 + round);
    pass(1s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(ProgressDetection, PrometheusSeesForHowLongTheSlowestRankHasStoodStill) {
  const auto stalled_seconds = [&] {
    for (const auto& family : metrics_->collectable()->Collect()) {
      if (family.name == "equipoise_rank_stalled_seconds") return family.metric.at(0).gauge.value;
    }
    return -1.0;
  };
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  do_steps(id, 3);
  stand_still(id, v1::RANK_PHASE_TRAINING, 20s);
  EXPECT_EQ(stalled_seconds(), 20);
  beat(id, 1, v1::RANK_PHASE_TRAINING, kWorks, 1000);
  pass(1s);
  EXPECT_EQ(stalled_seconds(), 1) << "rank 0 waits for it";
}

TEST_F(ProgressDetection, StepsThatTakeLongMayTakeTenTimesAsLong) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  for (int step = 0; step < 4; ++step) {
    calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
    for (int second = 0; second < 20; ++second) {
      for (const int rank : {0, 1}) beat(id, rank, v1::RANK_PHASE_TRAINING, kWorks, 100 * step + second);
      pass(1s);
    }
  }
  stand_still(id, v1::RANK_PHASE_TRAINING, 195s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  stand_still(id, v1::RANK_PHASE_TRAINING, 10s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
}

// Devices and connections are made ready with it, and no step has told how long one takes.
TEST_F(ProgressDetection, TheFirstStepOfAnAttemptMayTakeLonger) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  stand_still(id, v1::RANK_PHASE_TRAINING, 590s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  stand_still(id, v1::RANK_PHASE_TRAINING, 20s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
}

// One rank saves for minutes while the others wait in a collective, whose phase is another.
TEST_F(ProgressDetection, RanksThatWaitForOneThatSavesAreNotGivenUp) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  do_steps(id, 3);
  for (int second = 0; second < 1700; ++second) {
    beat(id, 0, v1::RANK_PHASE_SAVING, kWorks);
    beat(id, 1, v1::RANK_PHASE_TRAINING, kWaits);
    pass(1s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  for (int second = 0; second < 110; ++second) {
    beat(id, 0, v1::RANK_PHASE_SAVING, kWorks);
    beat(id, 1, v1::RANK_PHASE_TRAINING, kWaits);
    pass(1s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED) << "it saves for half an hour without a word";
  EXPECT_THAT(job(id).state_reason(), HasSubstr("rank 0 on host has stood still"));
}

TEST_F(ProgressDetection, WhereAllWaitForEachOtherItIsNoneOfThem) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  do_steps(id, 3);
  for (int second = 0; second < 40; ++second) {
    for (const int rank : {0, 1}) beat(id, rank, v1::RANK_PHASE_TRAINING, kWaits);
    pass(1s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("all ranks have waited for each other in all_reduce_sum for "));
}

// It was in a collective when it was stopped: what it said then is old.
TEST_F(ProgressDetection, ASilentRankThatSaidThatItWaitsIsAtFault) {
  settings_.supervisor.deadlines.training = 5s;
  restart();
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  do_steps(id, 3);
  beat(id, 1, v1::RANK_PHASE_TRAINING, kWaits, 5000);
  for (int second = 0; second < 12; ++second) {
    beat(id, 0, v1::RANK_PHASE_TRAINING, kWaits, 5000);
    pass(1s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).state_reason(), HasSubstr("rank 1 on host has stood still for "));
  EXPECT_THAT(job(id).state_reason(), HasSubstr("and has not been heard of for "));
}

TEST_F(ProgressDetection, APauseOfTheCoordinatorCountsAgainstNobody) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  do_steps(id, 3);
  stand_still(id, v1::RANK_PHASE_TRAINING, 20s);
  clock_.advance(1h);
  core_->attempts().tick();
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  stand_still(id, v1::RANK_PHASE_TRAINING, 15s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED) << "what it stood still before and after counts";
}

TEST_F(ProgressDetection, RanksThatAreHeldStandStillForAsLongAsTheyAre) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  do_steps(id, 3);
  core_->table().hold("no space");
  stand_still(id, v1::RANK_PHASE_TRAINING, 300s);
  core_->table().release();
  stand_still(id, v1::RANK_PHASE_TRAINING, 25s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING);
  stand_still(id, v1::RANK_PHASE_TRAINING, 10s);
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
}

TEST_F(ProgressDetection, APhaseThatNobodyKnowsHasNoDeadline) {
  for (const int phase : {0, 77, -1}) {
    const auto id = job_in(static_cast<v1::RankPhase>(phase));
    stand_still(id, static_cast<v1::RankPhase>(phase), 4000s);
    EXPECT_EQ(job(id).state(), v1::JOB_STATE_RUNNING) << phase;
  }
}

TEST_F(ProgressDetection, TheNameOfACollectiveIsBoundedAndOneLine) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  auto request = heartbeat_request(id, 1, 0);
  request.set_last_collective(std::string(65, 'x'));
  EXPECT_THAT(error_of([&] { calls().heartbeat(request); }).text, HasSubstr("last_collective has 65 bytes"));
  request.set_last_collective("a\x1B[31m\nb");
  calls().heartbeat(request);
  v1::ListRanksRequest list;
  list.set_id(id);
  EXPECT_EQ(jobs().ranks(list).ranks(0).last_collective(), "a [31m b");
}

TEST_F(ProgressDetection, RanksAreListedWithWhatTheyDo) {
  const auto id = job_in(v1::RANK_PHASE_TRAINING);
  do_steps(id, 3);
  stand_still(id, v1::RANK_PHASE_TRAINING, 5s);
  beat(id, 0, v1::RANK_PHASE_EVALUATING, kWaits, 5000);
  v1::ListRanksRequest request;
  request.set_id(id);
  request.set_page_size(1);
  const v1::ListRanksResponse first = jobs().ranks(request);
  ASSERT_THAT(first.ranks(), SizeIs(1));
  EXPECT_EQ(first.ranks(0).rank(), 0);
  EXPECT_EQ(first.ranks(0).host(), "host");
  EXPECT_EQ(first.ranks(0).phase(), v1::RANK_PHASE_EVALUATING);
  EXPECT_EQ(first.ranks(0).step(), 3);
  EXPECT_EQ(first.ranks(0).stalled_for().seconds(), 0);
  request.set_page_token(first.next_page_token());
  const v1::ListRanksResponse second = jobs().ranks(request);
  ASSERT_THAT(second.ranks(), SizeIs(1));
  EXPECT_EQ(second.ranks(0).rank(), 1);
  EXPECT_EQ(second.ranks(0).phase(), v1::RANK_PHASE_TRAINING);
  EXPECT_GE(second.ranks(0).stalled_for().seconds(), 4);
  EXPECT_EQ(second.ranks(0).silent_for().seconds(), 1);
  EXPECT_EQ(second.next_page_token(), "");
  jobs().cancel(id);
  pass(31s);
  ASSERT_EQ(job(id).state(), v1::JOB_STATE_CANCELLED);
  request.clear_page_token();
  EXPECT_THAT(jobs().ranks(request).ranks(), SizeIs(0));
}

TEST_F(ProgressDetection, RanksThatDoNotRegisterInTimeAreNamedAndTheOthersCounted) {
  const auto id = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 30))).id();
  for (int rank = 0; rank < 30; rank += 2) calls().register_worker(register_request(id, rank == 0 ? 0 : 1, rank, 30));
  for (int second = 0; second < 121; ++second) {
    for (int rank = 0; rank < 30; rank += 2) beat(id, rank, v1::RANK_PHASE_STARTING, kWaits);
    pass(1s);
  }
  EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
  EXPECT_THAT(job(id).state_reason(),
              HasSubstr("rank 1, rank 3, rank 5, rank 7, rank 9, rank 11, rank 13, rank 15 and 7 more have not "
                        "registered within 120 s"));
}

}  // namespace progress_detection_test
}  // namespace equipoise::coordinator
