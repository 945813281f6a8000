// A coordinator takes over what an earlier version of the program has stored.
#include "tests/coordinator/support/earlier_schemas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "common/config/job_config.h"
#include "coordinator/job/state_audit.h"
#include "coordinator/job/step_history.h"
#include "coordinator/job/training.h"
#include "coordinator/store/database.h"
#include "tests/coordinator/support/controller_fixture.h"
#include "tests/coordinator/support/damaged_pages.h"

namespace equipoise::coordinator {
namespace earlier_schemas_test {

using ::testing::HasSubstr;

constexpr int kSteps = 4;

// One job that has done some steps, one that is being cancelled, and one that waits; stored by an earlier version.
class EarlierSchema : public ControllerFixture, public ::testing::WithParamInterface<int> {
 protected:
  EarlierSchema() {
    trained_ = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
    for (int step = 0; step < kSteps; ++step) calls().report_step(step_request(trained_, 1, step, {0.1 * step, 1.0}));
    cancelled_ = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
    jobs().cancel(cancelled_);
    waiting_ = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).id();
    history_ = history();
    steps_.job_id = trained_;
    const JobConfig config = make_job_config(job(trained_).spec());
    StepHistory whole(*store_, config, trained_, {});
    for (int step = 0; step < kSteps; ++step) steps_.records.push_back(whole.step(1, step).value());
  }
  v1::ListGroupWeightsResponse history() {
    v1::ListGroupWeightsRequest request;
    request.set_id(trained_);
    return jobs().group_weights(request);
  }
  std::filesystem::path file() const { return folder_.path() / "test.sqlite3"; }
  void go_back_to_earlier_schema() {
    core_.reset();
    store_.reset();
    const std::filesystem::path earlier = folder_.path() / "earlier.sqlite3";
    copy_to_earlier_schema(file(), earlier, GetParam(), steps_);
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file().string() + end);
    std::filesystem::rename(earlier, file());
  }

  std::string trained_, cancelled_, waiting_;
  v1::ListGroupWeightsResponse history_;
  EarlierSteps steps_;
};

TEST_P(EarlierSchema, KeepsJobsStepsAndHistory) {
  go_back_to_earlier_schema();
  for (int start = 0; start < 2; ++start) {  // it is brought up to date once
    restart();
    EXPECT_EQ(jobs().list({}).jobs_size(), 3);
    EXPECT_EQ(job(trained_).state(), v1::JOB_STATE_RUNNING);
    EXPECT_EQ(job(trained_).step(), kSteps);
    EXPECT_EQ(history().SerializeAsString(), history_.SerializeAsString());
    EXPECT_EQ(job(cancelled_).state(), v1::JOB_STATE_CANCELLED);
    const auto attempts = store_->attempts(trained_);
    ASSERT_EQ(attempts.size(), 1u);
    EXPECT_EQ(attempts[0].start_step, 0);
    EXPECT_EQ(store_->lineage_step(trained_, 2)->request.step(), 2);
    // A rank that has not heard the answer before asks again.
    const auto answer = calls().report_step(step_request(trained_, 1, kSteps - 1, {0.1 * (kSteps - 1), 1.0}));
    EXPECT_EQ(answer.alpha(0), history_.records(kSteps - 1).alpha(0));
  }
  core_.reset();
  store_.reset();
  JobStore store(file(), Access::kReadOnly);
  const StateAudit audit = audit_state(store);
  EXPECT_TRUE(audit.damaged.empty());
  EXPECT_TRUE(audit.file_faults.empty());
}

TEST_P(EarlierSchema, AJobThatWaitsIsLaunchedAndTrains) {
  go_back_to_earlier_schema();
  restart();
  core_->attempts().tick();
  ASSERT_EQ(launcher_.started.size(), 1u);
  EXPECT_EQ(launcher_.started[0].attempt.job_id, waiting_);
  calls().register_worker(registration(waiting_, 0, 1));
  calls().start_training(start_request(waiting_, 1));
  do_all_steps(waiting_);
  EXPECT_EQ(job(waiting_).step(), 10);
  EXPECT_EQ(store_->attempts(waiting_).at(0).start_step, 0);
}

TEST_P(EarlierSchema, AStepThatCannotBeLoadedSetsItsJobAside) {
  go_back_to_earlier_schema();
  // Two float64 each, little endian.
  Database(file()).execute("UPDATE steps SET log_alpha = x'000000000000f87f000000000000f87f' WHERE step = 3");
  restart();
  EXPECT_THAT(job(trained_).state_reason(),
              HasSubstr("step 3 of attempt 1: the recorded log weight of group 0 is not finite"));
  Database(file()).execute("UPDATE steps SET log_alpha = substr(log_alpha, 1, 15) WHERE step = 3");
  JobStore store(file(), Access::kReadOnly);
  ASSERT_EQ(audit_state(store).damaged.size(), 1u);
  EXPECT_THAT(audit_state(store).damaged[0].why, HasSubstr("a vector of a step is damaged"));
}

// The last step of one attempt by an earlier program, and an attempt of this one that goes on from it.
TEST_P(EarlierSchema, StepsOfThisProgramFollowThoseOfTheEarlierOne) {
  go_back_to_earlier_schema();
  restart();
  const JobConfig config = make_job_config(job(trained_).spec());
  StepHistory history(*store_, config, trained_, {});
  const v1::WeightState state = history.weights_after(1, kSteps);
  EXPECT_EQ(state.steps(), kSteps);
  WeightOwner next = weight_owner_for(config, start_request(trained_, 2));
  next.restore(state);
  const StepRecord fresh = next.prepare(step_request(trained_, 1, kSteps, {0.4, 0.3}));
  store_->insert_step({.job_id = trained_, .generation = 1, .step = kSteps}, fresh);
  const StepRecord read = history.whole(store_->step({.job_id = trained_, .generation = 1, .step = kSteps}).value());
  EXPECT_EQ(read.log_alpha_K, fresh.log_alpha_K);
  EXPECT_EQ(read.weight, fresh.weight);
}

TEST_P(EarlierSchema, OfADamagedPageOfTrainingsOnlyThoseJobsAreSetAside) {
  go_back_to_earlier_schema();
  destroy_leaf(file(), "trainings", 0);
  restart();
  EXPECT_THAT(job(trained_).state_reason(), HasSubstr("set aside, as what is stored of it is damaged: "));
  EXPECT_EQ(job(waiting_).state(), v1::JOB_STATE_QUEUED);
}

TEST_P(EarlierSchema, NoSequenceIsUsedTwice) {
  jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1)));
  const std::int64_t newest = store_->jobs().back().sequence;
  store_->delete_job(store_->jobs().back().job.id());
  core_.reset();
  store_.reset();
  const std::filesystem::path earlier = folder_.path() / "earlier.sqlite3";
  copy_to_earlier_schema(file(), earlier, GetParam());
  Database(earlier).execute("UPDATE sqlite_sequence SET seq = " + std::to_string(newest) + " WHERE name = 'jobs'");
  JobStore store(earlier);
  v1::TrainingJob job;
  job.set_id("new");
  EXPECT_EQ(store.insert_job(job, std::nullopt), newest + 1);
}

INSTANTIATE_TEST_SUITE_P(Versions, EarlierSchema, ::testing::Values(1, 2, 3));

}  // namespace earlier_schemas_test
}  // namespace equipoise::coordinator
