// Steps are stored without their answers and weights, and come back with the same bits: to ranks that repeat a report,
// to people, and to an attempt that goes on from a checkpoint.
#include "coordinator/job/step_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "coordinator/job/record_check.h"
#include "coordinator/job/state_audit.h"
#include "coordinator/job/training.h"
#include "coordinator/store/database.h"
#include "tests/coordinator/support/controller_fixture.h"

namespace equipoise::coordinator {
namespace step_history_test {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int kSteps = 70;  // with several states on record

// A job whose every step depends on all before it: alpha, the groups' newest losses, eta_alpha.
v1::JobSpec long_spec(int steps) {
  v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  spec.mutable_robust()->set_estimator(v1::ESTIMATOR_UNBIASED);
  spec.mutable_robust()->set_step_factor(0.9);
  spec.mutable_robust()->set_step_patience(3);
  spec.mutable_training()->set_max_steps(steps);
  return spec;
}

std::vector<double> losses_of(std::int64_t step) {
  const double north = 0.1 + 0.01 * static_cast<double>(step * 7 % 11);
  return step % 3 == 0 ? std::vector{north} : std::vector{north, 1.0 / static_cast<double>(step + 1)};
}

class StepHistoryTest : public ControllerFixture {
 protected:
  void SetUp() override {
    id_ = running_job(long_spec(kSteps + 10));
    config_.emplace(make_job_config(job(id_).spec()));
    for (int step = 0; step < kSteps; ++step) answers_.push_back(report(step));
  }
  v1::ReportStepResponse report(int step) { return calls().report_step(step_request(id_, 1, step, losses_of(step))); }
  StepHistory history() { return {*store_, *config_, id_, job(id_).settings_changes()}; }
  void execute(const std::string& sql) { Database(folder_.path() / "test.sqlite3").execute(sql); }

  std::string id_;
  std::optional<JobConfig> config_;
  std::vector<v1::ReportStepResponse> answers_;
};

TEST_F(StepHistoryTest, ARepeatedReportGetsTheAnswerOfTheFirstInAnyOrderAndAfterARestart) {
  std::vector<int> steps(kSteps);
  for (int step = 0; step < kSteps; ++step) steps[static_cast<std::size_t>(step)] = step;
  std::mt19937_64 random(5);
  for (int start = 0; start < 2; ++start) {
    std::ranges::shuffle(steps, random);
    for (const int step : steps) {
      EXPECT_EQ(report(step).SerializeAsString(), answers_[static_cast<std::size_t>(step)].SerializeAsString()) << step;
    }
    restart();
  }
}

TEST_F(StepHistoryTest, EveryPageShowsAlphaAsItWasAnswered) {
  v1::ListGroupWeightsRequest request;
  request.set_id(id_);
  request.set_page_size(9);
  std::size_t step = 0;
  do {
    const auto page = jobs().group_weights(request);
    for (const v1::GroupWeightRecord& record : page.records()) {
      ASSERT_LT(step, answers_.size());
      EXPECT_EQ(record.step(), static_cast<std::int64_t>(step));
      EXPECT_THAT(record.alpha(), ::testing::ElementsAreArray(answers_[step].alpha())) << step;
      ++step;
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(step, answers_.size());
}

TEST_F(StepHistoryTest, TheWeightsAfterAnyStepGiveEveryLaterStepTheSameBits) {
  for (const std::int64_t steps : {0, 1, 15, 16, 17, 40, kSteps - 1}) {
    StepHistory fresh = history();
    const v1::WeightState state = fresh.weights_after(1, steps);
    EXPECT_EQ(state.steps(), steps);
    WeightOwner owner = weight_owner_for(*config_, start_request(id_, 1));
    owner.restore(state);
    for (std::int64_t step = steps; step < kSteps; ++step) {
      const StepRecord record = owner.prepare(step_request(id_, 1, step, losses_of(step)));
      owner.accept(record);
      const auto& answer = answers_[static_cast<std::size_t>(step)];
      ASSERT_THAT(record.weight, ::testing::ElementsAreArray(answer.weight())) << steps << " " << step;
    }
  }
}

// exp() and log() of another machine, or a change of the program: the weights that ranks got are not those computed
// now.
TEST_F(StepHistoryTest, AReplayThatGivesOtherBitsIsNoticed) {
  execute("UPDATE steps SET result_digest = zeroblob(16) WHERE step = 20");
  StepHistory fresh = history();
  EXPECT_TRUE(fresh.step(1, 19));
  try {
    fresh.step(1, 20);
    FAIL() << "other weights";
  } catch (const StoreError& error) {
    EXPECT_EQ(error.cause(), StoreError::Cause::kDamaged);
    EXPECT_THAT(error.what(), HasSubstr("step 20 of attempt 1: step 20: its report gives other weights than those on"));
  }
  EXPECT_TRUE(fresh.step(1, 21)) << "what comes after is none the worse";
  EXPECT_THAT(history_fault(*store_, *config_, job(id_)), HasSubstr("step 20: its report gives other weights"));
}

TEST_F(StepHistoryTest, AMissingStepAndADamagedStateAreNamed) {
  execute("DELETE FROM steps WHERE step = 20");
  execute("UPDATE weight_states SET state = x'ff' WHERE steps > 60");
  StepHistory fresh = history();
  EXPECT_FALSE(fresh.step(1, 20));
  try {
    fresh.step(1, 25);
    FAIL() << "step 20 is missing";
  } catch (const StoreError& error) {
    EXPECT_THAT(error.what(), HasSubstr("step 20 of attempt 1 is missing"));
  }
  EXPECT_TRUE(fresh.step(1, 58)) << "from a state after it";
  EXPECT_THROW(history().step(1, kSteps - 1), StoreError);
}

TEST_F(StepHistoryTest, ThinningKeepsOneStepInSixteenWithItsAlphaAndAllOfTheRest) {
  while (store_->step_rows().thin(id_, 50)) {
    if (store_->step_rows().extent(id_).thinned_end > 40) break;
  }
  const HistoryExtent extent = store_->step_rows().extent(id_);
  EXPECT_GT(extent.thinned_end, 40);
  EXPECT_LE(extent.thinned_end, 50);
  EXPECT_EQ(extent.spacing, 16);
  v1::ListGroupWeightsRequest request;
  request.set_id(id_);
  const auto page = jobs().group_weights(request);
  EXPECT_EQ(page.thinned_end(), extent.thinned_end);
  EXPECT_EQ(page.thinned_spacing(), 16);
  std::vector<std::int64_t> shown;
  for (const v1::GroupWeightRecord& record : page.records()) {
    shown.push_back(record.step());
    EXPECT_THAT(record.alpha(), ::testing::ElementsAreArray(answers_[static_cast<std::size_t>(record.step())].alpha()))
        << record.step();
  }
  const auto thinned = std::ranges::count_if(shown, [&](std::int64_t step) { return step < extent.thinned_end; });
  EXPECT_GE(thinned, 2);
  EXPECT_LE(thinned, 4);
  for (std::int64_t step = extent.thinned_end; step < kSteps; ++step) EXPECT_THAT(shown, Contains(step));

  for (int step = static_cast<int>(extent.thinned_end); step < kSteps; ++step) {
    EXPECT_EQ(report(step).SerializeAsString(), answers_[static_cast<std::size_t>(step)].SerializeAsString()) << step;
  }
  EXPECT_EQ(error_of([&] { report(3); }).code, Refusal::Code::kOutOfRange);
  EXPECT_EQ(newest_attempt_fault(*store_, *config_, job(id_)), "");
  EXPECT_EQ(history_fault(*store_, *config_, job(id_)), "");
  EXPECT_EQ(report(kSteps).step(), kSteps) << "and the job goes on";
  restart();
  EXPECT_EQ(job(id_).state(), v1::JOB_STATE_RUNNING);
}

TEST_F(StepHistoryTest, ThinningGoesOnMoreCoarselyAndEnds) {
  int pieces = 0;
  while (store_->step_rows().thin(id_, 60)) ASSERT_LT(++pieces, 100);
  const HistoryExtent extent = store_->step_rows().extent(id_);
  EXPECT_LE(extent.thinned_end, 60);
  const StepRange left = store_->step_range(id_, 1);
  EXPECT_EQ(left.last, kSteps - 1);
  EXPECT_LE(left.count, kSteps - extent.thinned_end + 1);
  EXPECT_FALSE(store_->step_rows().thin(id_, 0));
  EXPECT_EQ(history_fault(*store_, *config_, job(id_)), "");
}

// Of an attempt that went on from step 30, what the one before did from there on is no longer of the line.
TEST_F(StepHistoryTest, ThinningKeepsTheLineAndDropsWhatIsNoLongerOfIt) {
  WeightOwner owner = weight_owner_for(*config_, start_request(id_, 2));
  owner.restore(history().weights_after(1, 30));
  v1::TrainingJob next = job(id_);
  next.set_generation(2);
  StoredTraining training{.request = start_request(id_, 2), .response = {}};
  training.response.mutable_plan()->set_first_step(30);
  training.response.mutable_plan()->set_end_step(kSteps + 10);
  training.response.mutable_plan()->set_num_pairs(6);
  *training.response.mutable_log_alpha() = owner.state().log_alpha();
  *training.response.mutable_group_loss() = owner.state().group_loss();
  *training.response.mutable_step_size() = owner.state().step_size();
  store_->start_training(next, training, "checkpoints/30");
  std::vector<StepRecord> records;
  for (std::int64_t step = 30; step < kSteps; ++step) {
    records.push_back(owner.prepare(step_request(id_, 2, step, {0.3, 0.2})));
    owner.accept(records.back());
  }
  store_->insert_steps(id_, 2, records);
  EXPECT_EQ(history_fault(*store_, *config_, next), "");

  while (store_->step_rows().thin(id_, 55) && store_->step_rows().extent(id_).thinned_end < 40) continue;
  const std::int64_t end = store_->step_rows().extent(id_).thinned_end;
  EXPECT_GT(end, 30);
  StepHistory fresh = history();
  for (const StepRecord& row : store_->steps(id_, 0, {.rows = 100, .bytes = 1 << 20})) {
    const StepRecord whole = fresh.whole(row);
    const std::int64_t step = row.request.step();
    EXPECT_EQ(row.request.generation(), step < 30 ? 1 : 2);
    if (step >= 30) {
      EXPECT_EQ(whole.log_alpha_K, records[static_cast<std::size_t>(step - 30)].log_alpha_K) << step;
    }
  }
  for (std::int64_t step = 30; step < end; ++step) {
    EXPECT_FALSE(store_->step({.job_id = id_, .generation = 1, .step = step})) << step;
  }
  EXPECT_EQ(history_fault(*store_, *config_, next), "");
}

// It begins below what has been thinned: its own steps are whole again.
TEST_F(StepHistoryTest, AnAttemptFromTheBeginningFollowsAThinnedOne) {
  while (store_->step_rows().thin(id_, 50) && store_->step_rows().extent(id_).thinned_end < 40) continue;
  ASSERT_GT(store_->step_rows().extent(id_).thinned_end, 0);
  WeightOwner owner = weight_owner_for(*config_, start_request(id_, 2));
  v1::TrainingJob next = job(id_);
  next.set_generation(2);
  next.set_step(0);
  StoredTraining training{.request = start_request(id_, 2), .response = {}};
  training.response.mutable_plan()->set_end_step(kSteps + 10);
  training.response.mutable_plan()->set_num_pairs(6);
  store_->start_training(next, training);
  EXPECT_EQ(store_->step_rows().extent(id_).thinned_end, 0);
  std::vector<StepRecord> records;
  for (std::int64_t step = 0; step < 20; ++step) {
    records.push_back(owner.prepare(step_request(id_, 2, step, losses_of(step))));
    owner.accept(records.back());
  }
  store_->insert_steps(id_, 2, records);
  StepHistory fresh = history();
  for (std::int64_t step = 0; step < 20; ++step) {
    const auto read = fresh.step(2, step);
    ASSERT_TRUE(read) << step;
    EXPECT_EQ(read->weight, records[static_cast<std::size_t>(step)].weight) << step;
  }
  EXPECT_EQ(newest_attempt_fault(*store_, *config_, next), "");
  EXPECT_EQ(history_fault(*store_, *config_, next), "");
}

// Of 4,096 groups a rank may report 256 steps again, and no more are needed.
class ManyGroups : public ControllerFixture {
 protected:
  static constexpr int kGroups = 4096, kAtOnce = 256, kMessages = 4;
  static constexpr std::int64_t kMostBytes = 150'000;
  ManyGroups() {
    settings_.limits.history_bytes = kMostBytes;
    restart();
    id_ = jobs().create(create_request(long_spec(kAtOnce * (kMessages + 1)))).id();
    calls().register_worker(registration(id_, 0, 1));
    v1::StartTrainingRequest request = start_request(id_, 1);
    for (int group = 2; group < kGroups; ++group) {
      request.add_group_names("group " + std::to_string(group));
      request.add_group_pair_count(2);
    }
    request.set_num_pairs(2 * kGroups + 2);
    calls().start_training(request);
  }
  v1::ReportStepsRequest steps_from(int first) const {
    v1::ReportStepsRequest request;
    request.set_job_id(id_);
    request.set_generation(1);
    for (int step = first; step < first + kAtOnce; ++step) *request.add_steps() = step_request("", 0, step, {0.2, 1.0});
    return request;
  }
  std::string id_;
};

TEST_F(ManyGroups, AHistoryStaysWithinItsBoundWithAWarningBefore) {
  for (int message = 0; message < kMessages; ++message) {
    const auto request = steps_from(message * kAtOnce);
    const auto answer = calls().report_steps(request);
    EXPECT_EQ(calls().report_steps(request).SerializeAsString(), answer.SerializeAsString()) << "a lost answer";
    store_->mark_checkpoints_deleted(id_, {std::int64_t{message} * kAtOnce});
    store_->commit_checkpoint(id_, {.step = std::int64_t{message + 1} * kAtOnce, .generation = 1});
  }
  const HistoryExtent extent = store_->step_rows().extent(id_);
  EXPECT_GT(extent.thinned_end, 0);
  constexpr std::int64_t kNeeded = kAtOnce * 2 * 150 + 3 * 66'000;  // what is kept whole, and its states
  EXPECT_LE(extent.bytes, kMostBytes + kNeeded);
  EXPECT_THAT(job(id_).conditions(), Contains(HasSubstr("the history of its steps takes 80 % of the ")));
  restart();
  EXPECT_EQ(job(id_).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job(id_).step(), kAtOnce * kMessages);
  EXPECT_GT(store_->step_rows().extent(id_).thinned_end, 0);
}

TEST_F(ManyGroups, NothingIsThinnedThatACheckpointNeeds) {
  calls().report_steps(steps_from(0));
  store_->commit_checkpoint(id_, {.step = 10, .generation = 1, .folder = "step-10"});
  for (int message = 1; message < kMessages; ++message) calls().report_steps(steps_from(message * kAtOnce));
  EXPECT_EQ(store_->step_rows().extent(id_).thinned_end, 0);
  // The two that the job keeps; that the oldest is gone was never told.
  for (const std::int64_t newer : {1, 0}) {
    store_->commit_checkpoint(id_, {.step = kMessages * kAtOnce - newer, .generation = 1, .folder = "newer"});
  }
  calls().report_steps(steps_from(kMessages * kAtOnce));
  EXPECT_GT(store_->step_rows().extent(id_).thinned_end, 0);
}

TEST_F(ManyGroups, WithoutACheckpointManySteps) {
  for (int message = 0; message < kMessages; ++message) calls().report_steps(steps_from(message * kAtOnce));
  EXPECT_GT(store_->step_rows().extent(id_).bytes, kMostBytes);
  EXPECT_EQ(store_->step_rows().extent(id_).thinned_end, 0);
}

}  // namespace step_history_test
}  // namespace equipoise::coordinator
