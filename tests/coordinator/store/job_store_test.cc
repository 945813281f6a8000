#include "coordinator/store/job_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>

#include "coordinator/store/state_folder.h"
#include "tests/coordinator/support/damaged_pages.h"
#include "tests/coordinator/support/earlier_schemas.h"
#include "tests/coordinator/support/requests.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace job_store_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string bits_of(const std::vector<double>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)};
}

class JobStoreTest : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "test.sqlite3"; }
  void reopen() {
    store_.reset();
    store_.emplace(file());
  }
  // A second connection, as that of somebody with the sqlite3 tool.
  Database& database_of(const std::filesystem::path& path) {
    other_.emplace(path);
    return *other_;
  }
  static v1::TrainingJob job(const std::string& id) {
    v1::TrainingJob job;
    job.set_id(id);
    job.set_state(v1::JOB_STATE_QUEUED);
    return job;
  }
  static v1::TrainingJob job(const std::string& id, v1::JobState state, std::int64_t revision) {
    v1::TrainingJob changed = job(id);
    changed.set_state(state);
    changed.set_revision(revision);
    changed.set_state_reason("revision " + std::to_string(revision));
    return changed;
  }
  // An attempt that begins at a step, and takes some from there on.
  void train(const std::string& id, std::int64_t generation, std::int64_t first_step, std::int64_t end_step) {
    v1::TrainingJob running = job(id);
    running.set_generation(generation);
    StoredTraining training{.request = start_request(id, generation), .response = {}};
    training.response.mutable_plan()->set_first_step(first_step);
    store_->start_training(running, training, first_step > 0 ? "checkpoints/" + std::to_string(first_step) : "");
    for (std::int64_t step = first_step; step < end_step; ++step) {
      store_->insert_step({.job_id = id, .generation = generation, .step = step}, record(generation, step, 0.3));
    }
  }
  // Its steps as generation.step
  std::vector<std::string> lineage(const std::string& id) {
    std::vector<std::string> texts;
    for (const StepRecord& step : store_->steps(id, 0, {.rows = 100, .bytes = 1 << 20})) {
      texts.push_back(std::to_string(step.request.generation()) + "." + std::to_string(step.request.step()));
    }
    return texts;
  }
  StepRecord record(std::int64_t generation, std::int64_t step, double loss) {
    RobustSettings settings;
    settings.mode = RobustMode::kGroupRobust;
    const WeightOwner owner(settings, {.names = {"a", "b"}, .pair_count_K = {1, 1}}, 2);
    return owner.prepare(step_request("j", generation, step, {loss, 0.1}));
  }

  TempFolder folder_;
  std::optional<JobStore> store_{file()};
  std::optional<Database> other_;
};

TEST_F(JobStoreTest, JobsComeBackInTheOrderTheyWereMade) {
  store_->insert_job(job("b"), std::nullopt);
  store_->insert_job(job("a"), std::nullopt);
  reopen();
  const auto jobs = store_->jobs();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].job.id(), "b");
  EXPECT_LT(jobs[0].sequence, jobs[1].sequence);
}

TEST_F(JobStoreTest, TheSequenceOfADeletedJobIsNotUsedAgain) {
  const auto first = store_->insert_job(job("a"), std::nullopt);
  store_->delete_job("a");
  EXPECT_GT(store_->insert_job(job("b"), std::nullopt), first);
}

TEST_F(JobStoreTest, AnAnsweredRequestOutlivesItsJob) {
  store_->insert_job(job("a"), AnsweredRequest{.request_id = "r", .digest = "d", .answer = job("a")});
  store_->delete_job("a");
  reopen();
  const auto request = store_->answered_request("r");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->digest, "d");
  EXPECT_EQ(request->answer.id(), "a");
  EXPECT_FALSE(store_->answered_request("s"));
}

// Requests were only forgotten at a start: 66 MB came together in 12 s.
TEST_F(JobStoreTest, OldRequestsAreForgottenWhileItIsOpen) {
  store_->insert_job(job("a"), AnsweredRequest{.request_id = "old", .digest = "d", .answer = job("a")});
  Database(file()).execute("UPDATE requests SET created_at = created_at - 31 * 86400");
  reopen();
  Database(file()).execute(
      "INSERT INTO requests(request_id, digest, answer, created_at) "
      "VALUES ('older', x'00', x'', unixepoch() - 31 * 86400)");
  store_->insert_job(job("b"), AnsweredRequest{.request_id = "new", .digest = "d", .answer = job("b")});
  EXPECT_FALSE(store_->answered_request("old"));
  EXPECT_FALSE(store_->answered_request("older"));
  EXPECT_TRUE(store_->answered_request("new"));
}

TEST_F(JobStoreTest, KeepsTheNewestRequestsUpToALimit) {
  constexpr std::int64_t kMost = 3;
  store_->set_most_requests(kMost);
  for (int i = 0; i < 10; ++i) {
    const std::string id = std::to_string(i);
    store_->insert_job(job(id), AnsweredRequest{.request_id = id, .digest = "d", .answer = job(id)});
    // The clock of the database counts whole seconds.
    Database(file()).execute("UPDATE requests SET created_at = created_at - 10");
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(store_->answered_request(std::to_string(i)).has_value(), i >= 10 - kMost) << i;
}

TEST_F(JobStoreTest, KeepsTheNewestRequestsUpToSoManyBytes) {
  store_->set_most_request_bytes(5000);
  for (int i = 0; i < 10; ++i) {
    const std::string id = std::to_string(i);
    v1::TrainingJob answer = job(id);
    answer.set_state_reason(std::string(1000, 'x'));
    store_->keep_request({.request_id = id, .digest = "d", .answer = answer});
    Database(file()).execute("UPDATE requests SET created_at = created_at - 10");
  }
  EXPECT_TRUE(store_->answered_request("9"));
  EXPECT_FALSE(store_->answered_request("0"));
  EXPECT_FALSE(store_->answered_request("4"));
}

TEST_F(JobStoreTest, ARequestUnderWayIsKeptWithItsJobAndWithNoOther) {
  store_->insert_job(job("a"), std::nullopt);
  store_->insert_job(job("b"), std::nullopt);
  {
    const CarriedRequest carried(*store_, {.request_id = "r", .digest = "d", .job_id = "b"});
    store_->update_job(job("a"));
    EXPECT_FALSE(store_->answered_request("r"));
    v1::TrainingJob changed = job("b");
    changed.set_revision(7);
    store_->update_job(changed);
  }
  store_->update_job(job("b"));
  reopen();
  ASSERT_TRUE(store_->answered_request("r"));
  EXPECT_EQ(store_->answered_request("r")->answer.revision(), 7);
}

TEST_F(JobStoreTest, AStepComesBackBitForBit) {
  const StepRecord written = record(1, 0, std::nextafter(0.3, 1.0));
  store_->insert_step({.job_id = "j", .generation = 1, .step = 0}, written);
  reopen();
  const auto read = store_->step({.job_id = "j", .generation = 1, .step = 0});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->request.SerializeAsString(), written.request.SerializeAsString());
  EXPECT_EQ(read->digest, written.digest);
  EXPECT_EQ(read->result_digest, written.result_digest);
  EXPECT_FALSE(store_->step({.job_id = "j", .generation = 2, .step = 0}));
}

TEST_F(JobStoreTest, AStateOfTheWeightsComesBackBitForBitUnknownLossesToo) {
  v1::WeightState state;
  state.set_steps(1);
  state.add_log_alpha(std::nextafter(0.3, 1.0));
  state.add_group_loss(std::numeric_limits<double>::quiet_NaN());
  state.mutable_step_size()->set_best(std::numeric_limits<double>::infinity());
  StepRecord written = record(1, 0, 0.3);
  written.state = state.SerializeAsString();
  store_->insert_step({.job_id = "j", .generation = 1, .step = 0}, written);
  store_->insert_step({.job_id = "j", .generation = 1, .step = 1}, record(1, 1, 0.3));
  reopen();
  EXPECT_EQ(store_->step_rows().state("j", 1, 2)->SerializeAsString(), written.state);
  EXPECT_EQ(store_->step_rows().state("j", 1, 1)->SerializeAsString(), written.state);
  EXPECT_FALSE(store_->step_rows().state("j", 1, 0)) << "it is after step 0";
  EXPECT_FALSE(store_->step_rows().state("j", 2, 2));
}

TEST_F(JobStoreTest, AStepMayHaveNoGroupsAtAll) {
  StepRecord written = record(1, 0, 0.3);
  for (auto* const numbers : {written.request.mutable_loss_sum(), written.request.mutable_pair_count()}) {
    numbers->Clear();
  }
  written.request.clear_group();
  written.request.add_non_finite_group(1);
  const StepKey key{.job_id = "j", .generation = 1, .step = 0};
  store_->insert_step(key, written);
  EXPECT_EQ(store_->step(key)->request.group_size(), 0);
  EXPECT_EQ(store_->step(key)->request.non_finite_group(0), 1u);
}

// 32 kB of 4,096 groups and 4.7 kB of 50 were stored with every step.
TEST_F(JobStoreTest, AStepTakesAtMostThreeHundredBytesAndTwelveForEachOfItsGroups) {
  struct Size {
    std::size_t groups;
    std::uint32_t of_batch;
  };
  for (const Size size :
       {Size{.groups = 2, .of_batch = 2}, Size{.groups = 50, .of_batch = 16}, Size{.groups = 4096, .of_batch = 64}}) {
    constexpr std::int64_t kSteps = 512;
    GroupTable groups{.names = {}, .pair_count_K = std::vector<double>(size.groups, 10.0)};
    for (std::size_t g = 0; g < size.groups; ++g) groups.names.push_back("group " + std::to_string(g));
    RobustSettings settings;
    settings.mode = RobustMode::kGroupRobust;
    WeightOwner owner(settings, groups, 10.0 * static_cast<double>(size.groups));
    const std::string id = "job-of-" + std::to_string(size.groups);
    std::vector<StepRecord> taken;
    for (std::int64_t step = 0; step < kSteps; ++step) {
      taken.push_back(owner.prepare(step_request(id, 1, step, std::vector<double>(size.of_batch, 0.7))));
      owner.accept(taken.back());
    }
    store_->insert_steps(id, 1, taken);
    const std::int64_t bytes = store_->step_rows().extent(id).bytes / kSteps;
    EXPECT_LE(bytes, 300 + 12 * static_cast<std::int64_t>(size.of_batch)) << size.groups << " groups";
  }
}

TEST_F(JobStoreTest, ADatabaseOfTheFirstVersionGoesOn) {
  const auto old_file = folder_.path() / "old.sqlite3";
  const StepRecord old_step = record(1, 0, 0.3);
  {
    Database old(old_file);
    old.execute(schema_sql(1));
    const std::string bits(reinterpret_cast<const char*>(old_step.log_alpha_K.data()), 2 * sizeof(double));
    Statement(old, "INSERT INTO steps VALUES ('j', 0, 1, ?, ?, ?, ?)")
        .run(Blob{old_step.digest}, Blob{old_step.request.SerializeAsString()}, Blob{bits}, Blob{bits});
    Statement(old, "INSERT INTO jobs(id, state, job) VALUES ('j', 'RUNNING', ?)")
        .run(Blob{job("j").SerializeAsString()});
  }
  const StepRecord next = record(1, 1, 0.4);
  for (const bool is_first : {true, false}) {  // it is brought up to date once
    JobStore store(old_file);
    ASSERT_EQ(store.jobs().size(), 1u);
    EXPECT_EQ(store.signing_key(), "\x01\x02");
    const auto read = store.step({.job_id = "j", .generation = 1, .step = 0});
    EXPECT_EQ(read->log_alpha_K, old_step.log_alpha_K);
    EXPECT_EQ(read->digest, old_step.digest);
    EXPECT_TRUE(read->group_loss_K.empty());
    if (is_first) store.insert_step({.job_id = "j", .generation = 1, .step = 1}, next);
    EXPECT_EQ(store.last_step("j", 1)->result_digest, next.result_digest);
  }
}

TEST_F(JobStoreTest, AnUpdateThatFailsLeavesTheDatabaseOfTheOlderProgram) {
  const auto old_file = folder_.path() / "old.sqlite3";
  Database(old_file).execute(schema_sql(1) + "DROP TABLE steps;");
  EXPECT_THROW(JobStore{old_file}, StoreError);
  Database old(old_file);
  Statement version(old, "PRAGMA user_version");
  version.begin();
  ASSERT_TRUE(version.next());
  EXPECT_EQ(version.integer(0), 1);
}

TEST_F(JobStoreTest, ASecondRecordOfAStepIsRefusedAndTheFirstStays) {
  const StepKey key{.job_id = "j", .generation = 1, .step = 0};
  store_->insert_step(key, record(1, 0, 0.3));
  try {
    store_->insert_step(key, record(1, 0, 0.4));
    FAIL();
  } catch (const StoreError& error) {
    EXPECT_EQ(error.cause(), StoreError::Cause::kDamaged) << "nobody is to try it again, nor to wait for the disk";
  }
  EXPECT_EQ(store_->step(key)->digest, record(1, 0, 0.3).digest);
}

// The newest generation of each step was shown: after a rewind that mixed two lines, as the step 4 of attempt 1 does
// not follow step 3 of attempt 2.
TEST_F(JobStoreTest, AHistoryIsTheStepsBelowEveryLaterStart) {
  train("j", 1, 0, 5);
  EXPECT_THAT(lineage("j"), ElementsAre("1.0", "1.1", "1.2", "1.3", "1.4"));
  train("j", 2, 2, 4);
  EXPECT_THAT(lineage("j"), ElementsAre("1.0", "1.1", "2.2", "2.3"));
  train("j", 3, 3, 3);
  EXPECT_THAT(lineage("j"), ElementsAre("1.0", "1.1", "2.2"));
  EXPECT_EQ(store_->lineage_step("j", 1)->request.generation(), 1);
  EXPECT_EQ(store_->lineage_step("j", 2)->request.generation(), 2);
  EXPECT_FALSE(store_->lineage_step("j", 3));
  EXPECT_EQ(store_->steps("j", 2, {.rows = 100, .bytes = 1 << 20}).size(), 1u);
  train("j", 4, 0, 1);
  EXPECT_THAT(lineage("j"), ElementsAre("4.0"));
  EXPECT_EQ(store_->last_step("j", 1)->request.step(), 4) << "what an attempt did stays on record";
}

TEST_F(JobStoreTest, AnAttemptCutsTheHistoryOnlyOnceItsTrainingHasStarted) {
  store_->insert_job(job("j"), std::nullopt);
  train("j", 1, 0, 3);
  store_->begin_attempt(job("j"), {.generation = 2});
  EXPECT_EQ(lineage("j").size(), 3u);
  train("j", 2, 1, 1);
  EXPECT_THAT(lineage("j"), ElementsAre("1.0"));
}

TEST_F(JobStoreTest, AnAttemptIsStoredWithTheStateOfItsJob) {
  store_->insert_job(job("j", v1::JOB_STATE_QUEUED, 1), std::nullopt);
  const std::string hash(32, '\x01');
  store_->begin_attempt(job("j", v1::JOB_STATE_STARTING, 2), {.generation = 1,
                                                              .token_hash = hash,
                                                              .state = "STARTING",
                                                              .started_at = 1'000,
                                                              .launcher = "mpirun",
                                                              .hosts = "a, b"});
  store_->set_launcher("j", 1, "pid 7");
  train("j", 1, 4, 4);
  reopen();
  StoredAttempt attempt = store_->attempts("j").at(0);
  EXPECT_EQ(attempt.start_step, 4);
  EXPECT_EQ(attempt.start_checkpoint, "checkpoints/4");
  EXPECT_EQ(attempt.token_hash, hash);
  EXPECT_EQ(attempt.launcher, "pid 7");
  EXPECT_EQ(attempt.started_at, 1'000);
  EXPECT_FALSE(attempt.exit_code);

  store_->end_attempt(job("j", v1::JOB_STATE_FAILED, 3),
                      {.generation = 1, .state = "ENDED", .cause = "rank 1", .exit_code = 137, .ended_at = 2'000});
  attempt = store_->attempts("j").at(0);
  EXPECT_EQ(attempt.state, "ENDED");
  EXPECT_EQ(attempt.cause, "rank 1");
  EXPECT_EQ(attempt.exit_code, 137);
  EXPECT_EQ(attempt.ended_at, 2'000);
  EXPECT_EQ(attempt.started_at, 1'000) << "and all that was known before";
  EXPECT_EQ(attempt.start_step, 4);
  EXPECT_EQ(attempt.hosts, "a, b");
  EXPECT_EQ(store_->jobs()[0].job.state(), v1::JOB_STATE_FAILED);
}

TEST_F(JobStoreTest, AGenerationIsBegunOnce) {
  store_->insert_job(job("j", v1::JOB_STATE_QUEUED, 1), std::nullopt);
  store_->begin_attempt(job("j", v1::JOB_STATE_STARTING, 2), {.generation = 1, .cause = "first"});
  EXPECT_THROW(store_->begin_attempt(job("j", v1::JOB_STATE_RUNNING, 3), {.generation = 1}), StoreError);
  EXPECT_EQ(store_->jobs()[0].job.revision(), 2);
  EXPECT_EQ(store_->attempts("j").at(0).cause, "first");
  EXPECT_EQ(store_->events("j", 0, 100).size(), 2u);
}

TEST_F(JobStoreTest, CheckpointsAreCommittedAndDeletedByStep) {
  const StoredCheckpoint first{.step = 10,
                               .generation = 1,
                               .folder = "g1/step-10",
                               .manifest_digest = std::string(32, '\xff'),
                               .bytes = 7'000'000'000,
                               .created_at = 1'000};
  store_->commit_checkpoint("j", first);
  store_->commit_checkpoint("j", first);  // a commit whose answer was lost
  store_->commit_checkpoint("j", {.step = 10, .generation = 2, .folder = "g2/step-10"});
  store_->commit_checkpoint("j", {.step = 20, .generation = 2, .folder = "g2/step-20"});
  reopen();
  auto checkpoints = store_->checkpoints("j");
  ASSERT_EQ(checkpoints.size(), 3u);
  EXPECT_EQ(checkpoints[0].folder, "g1/step-10");
  EXPECT_EQ(checkpoints[0].manifest_digest, first.manifest_digest);
  EXPECT_EQ(checkpoints[0].bytes, 7'000'000'000);
  EXPECT_EQ(checkpoints[0].created_at, 1'000);
  EXPECT_GT(checkpoints[1].created_at, 1'700'000'000) << "now";
  const auto states = [&] {
    std::vector<std::string> all;
    for (const StoredCheckpoint& checkpoint : store_->checkpoints("j")) all.push_back(checkpoint.state);
    return all;
  };
  store_->mark_checkpoint_deleted("j", 10, 1);
  EXPECT_THAT(states(), ElementsAre("DELETED", "COMMITTED", "COMMITTED"));
  store_->mark_checkpoints_deleted("j", {10, 30});
  EXPECT_THAT(states(), ElementsAre("DELETED", "DELETED", "COMMITTED"));
  EXPECT_TRUE(store_->checkpoints("other").empty());
}

TEST_F(JobStoreTest, EachChangeOfStateIsAnEventAndTheNewestThousandAreKept) {
  store_->insert_job(job("j", v1::JOB_STATE_QUEUED, 1), std::nullopt);
  store_->update_job(job("j", v1::JOB_STATE_QUEUED, 2));  // another reason in the same state
  store_->update_job(job("j", v1::JOB_STATE_RUNNING, 3));
  const auto events = store_->events("j", 0, 100);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].text, "QUEUED: revision 1");
  EXPECT_EQ(events[1].text, "RUNNING: revision 3");
  EXPECT_EQ(events[1].kind, "STATE");
  EXPECT_EQ(events[1].revision, 3);
  EXPECT_GT(events[1].time, 1'700'000'000);
  EXPECT_EQ(store_->events("j", 1, 100).size(), 1u);

  store_->insert_job(job("other", v1::JOB_STATE_QUEUED, 1), std::nullopt);
  Database(file()).execute(
      "WITH RECURSIVE n(i) AS (VALUES (10) UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
      "INSERT INTO events(job_id, revision, kind, text) SELECT 'j', i, 'STATE', '' FROM n");
  store_->update_job(job("j", v1::JOB_STATE_FAILED, 2'000));
  EXPECT_EQ(store_->events("j", 0, 10'000).size(), 1'000u);
  EXPECT_EQ(store_->events("j", 0, 1)[0].revision, 502);  // 2,000, and 1,500 down to 502
  EXPECT_EQ(store_->events("other", 0, 10'000).size(), 1u);
}

TEST_F(JobStoreTest, WhatIsWantedOfAJobIsStoredWithItsState) {
  store_->insert_job(job("a"), std::nullopt);
  store_->insert_job(job("b"), std::nullopt);
  store_->update_job(job("a"), DesiredState::kPause);
  store_->update_job(job("a"));  // anything else leaves it
  store_->update_job(job("b", v1::JOB_STATE_CANCELLING, 2));
  reopen();
  EXPECT_EQ(store_->jobs()[0].desired, DesiredState::kPause);
  EXPECT_EQ(store_->jobs()[1].desired, DesiredState::kCancel);
  store_->update_job(job("a"), DesiredState::kRun);
  EXPECT_EQ(store_->jobs()[0].desired, DesiredState::kRun);
  EXPECT_EQ(store_->jobs()[0].damage, "");
}

TEST_F(JobStoreTest, AChangedBitOfAJobsRowIsFound) {
  store_->insert_job(job("a", v1::JOB_STATE_QUEUED, 256), std::nullopt);
  store_->insert_job(job("b"), std::nullopt);
  const std::string whole = job("a", v1::JOB_STATE_QUEUED, 256).SerializeAsString();
  const std::string other = job("a", v1::JOB_STATE_QUEUED, 257).SerializeAsString();
  Statement(database_of(file()), "UPDATE jobs SET job = ? WHERE id = 'a'").run(Blob{other});
  EXPECT_EQ(store_->jobs()[0].damage, "its record is not as it was stored: the checksum is of another");
  EXPECT_EQ(store_->jobs()[0].job.id(), "a");
  EXPECT_EQ(store_->jobs()[1].damage, "");
  Statement(database_of(file()), "UPDATE jobs SET job = ? WHERE id = 'a'").run(Blob{whole});
  EXPECT_EQ(store_->jobs()[0].damage, "");
  for (const char* change : {"state = 'RUNNING'", "desired = 'CANCEL'", "checksum = x''"}) {
    store_->update_job(job("a"));
    Database(file()).execute(std::string("UPDATE jobs SET ") + change + " WHERE id = 'a'");
    EXPECT_THAT(store_->jobs()[0].damage, HasSubstr("the checksum is of another")) << change;
  }
}

TEST_F(JobStoreTest, ADeletedJobLeavesNothing) {
  store_->insert_job(job("j"), std::nullopt);
  train("j", 1, 0, 2);
  store_->commit_checkpoint("j", {.step = 1, .generation = 1, .folder = "f"});
  store_->delete_job("j");
  const auto deleted = store_->deleted().next_with_rows(0);
  ASSERT_TRUE(deleted);
  EXPECT_TRUE(store_->deleted().remove_rows(*deleted, {}).is_last);
  EXPECT_TRUE(store_->attempts("j").empty());
  EXPECT_TRUE(store_->checkpoints("j").empty());
  EXPECT_TRUE(store_->events("j", 0, 10).empty());
  EXPECT_TRUE(lineage("j").empty());
  EXPECT_FALSE(store_->training("j", 1));
}

// A page of table jobs that cannot be read ended every start with code 2.
class DamagedPages : public JobStoreTest {
 protected:
  static constexpr int kJobs = 40;
  // About three jobs a page.
  DamagedPages() {
    for (int i = 0; i < kJobs; ++i) {
      v1::TrainingJob large = job(id(i));
      large.set_state_reason(std::string(1'000, 'x'));
      store_->insert_job(large, std::nullopt);
    }
    store_.reset();
  }
  static std::string id(int i) { return "job-" + std::to_string(100 + i); }
  std::vector<std::string> damaged() {
    std::vector<std::string> ids;
    for (const StoredJob& stored : store_->jobs()) {
      if (!stored.damage.empty()) ids.push_back(stored.job.id());
    }
    return ids;
  }
};

TEST_F(DamagedPages, OfJobsLeaveTheOthersAndTheNamesOfThoseThatAreLost) {
  destroy_leaf(file(), "jobs", 2);
  destroy_leaf(file(), "jobs", 5);
  store_.emplace(file());
  const std::vector<std::string> lost = damaged();
  EXPECT_EQ(store_->jobs().size(), std::size_t{kJobs});
  EXPECT_GE(lost.size(), 2u);
  EXPECT_LE(lost.size(), 8u);
  EXPECT_TRUE(store_->unread().empty());
  for (const StoredJob& stored : store_->jobs()) {
    EXPECT_EQ(stored.job.id(), id(static_cast<int>(stored.sequence) - 1));
    if (stored.damage.empty()) continue;
    EXPECT_THAT(stored.damage, HasSubstr("database disk image is malformed"));
  }
  EXPECT_FALSE(store_->file_faults().empty());
}

TEST_F(DamagedPages, OfJobsAndTheirIndexLeaveTheOthersAndSayWhichRowsAreLost) {
  destroy_leaf(file(), "jobs", 3);
  destroy_leaf(file(), "sqlite_autoindex_jobs_1", 0);
  store_.emplace(file());
  const std::size_t read = store_->jobs().size();
  EXPECT_LT(read, std::size_t{kJobs});
  EXPECT_GE(read, std::size_t{kJobs} - 5);
  EXPECT_TRUE(damaged().empty());
  ASSERT_EQ(store_->unread().size(), 1u);
  EXPECT_THAT(store_->unread()[0], HasSubstr(" of table jobs cannot be read"));
}

TEST_F(DamagedPages, OfAnOlderProgramLeaveTheOthers) {
  const auto old_file = folder_.path() / "old.sqlite3";
  copy_to_earlier_schema(file(), old_file, 2);
  destroy_leaf(old_file, "jobs", 2);
  store_.emplace(old_file);
  EXPECT_EQ(store_->jobs().size(), std::size_t{kJobs});
  const std::vector<std::string> lost = damaged();
  EXPECT_GE(lost.size(), 1u);
  EXPECT_LE(lost.size(), 4u);
  EXPECT_TRUE(store_->file_faults().empty()) << "the damaged table is kept aside";
  Database old(old_file);
  Statement kept(old, "SELECT 1 FROM sqlite_master WHERE name = 'damaged_jobs_1'");
  kept.begin();
  EXPECT_TRUE(kept.next());
}

TEST_F(DamagedPages, OfTheIndexAloneLeaveEveryJob) {
  destroy_leaf(file(), "sqlite_autoindex_jobs_1", 0);
  store_.emplace(file());
  EXPECT_EQ(store_->jobs().size(), std::size_t{kJobs});
  EXPECT_TRUE(damaged().empty());
}

TEST_F(DamagedPages, ATableMadeAnewTakesJobsAgain) {
  destroy_leaf(file(), "jobs", 2);
  store_.emplace(file());
  const std::vector<std::string> lost = damaged();
  ASSERT_FALSE(lost.empty());
  const auto done = store_->replace_damaged_tables();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0], "table jobs is made anew from what could be read; the damaged one is kept as damaged_jobs_1");
  EXPECT_TRUE(store_->file_faults().empty());
  EXPECT_EQ(damaged(), lost) << "until they are set aside";
  for (const std::string& name : lost) store_->set_aside(job(name, v1::JOB_STATE_FAILED, 2), "its page is damaged");
  EXPECT_TRUE(damaged().empty());
  EXPECT_EQ(store_->jobs_set_aside().size(), lost.size());
  EXPECT_EQ(store_->insert_job(job("new"), std::nullopt), kJobs + 1);
  store_->update_job(job(id(0), v1::JOB_STATE_FAILED, 2));
  reopen();
  EXPECT_EQ(store_->jobs().size(), std::size_t{kJobs} + 1);
  EXPECT_TRUE(store_->replace_damaged_tables().empty()) << "once";
}

TEST_F(DamagedPages, OfAnswersAndTheSigningKeyAreReplacedToo) {
  destroy_leaf(file(), "requests", 0);
  destroy_leaf(file(), "signing_key", 0);
  store_.emplace(file());  // old answers are forgotten at a start
  EXPECT_TRUE(damaged().empty());
  EXPECT_THROW(store_->signing_key(), StoreError);
  EXPECT_EQ(store_->replace_damaged_tables().size(), 2u);
  EXPECT_EQ(store_->signing_key().size(), 32u);
  EXPECT_FALSE(store_->answered_request("r"));
}

TEST_F(DamagedPages, OfFailuresAndFinishedRanksAreReplacedToo) {
  store_.emplace(file());
  v1::AttemptFailure failure;
  failure.set_generation(1);
  store_->set_attempt_failure(id(0), failure);
  store_->finish_rank(id(0), 1, {.rank = 0, .step = 3});
  store_.reset();
  destroy_leaf(file(), "attempt_failures", 0);
  destroy_leaf(file(), "finished_ranks", 0);
  store_.emplace(file());
  EXPECT_THROW(store_->finished_ranks(id(0), 1), StoreError);
  EXPECT_EQ(store_->replace_damaged_tables().size(), 2u);
  EXPECT_TRUE(store_->finished_ranks(id(0), 1).empty());
  EXPECT_TRUE(store_->attempts(id(0)).empty());
}

TEST_F(JobStoreTest, APageOfHistoryIsBoundedInRowsAndBytesButNeverEmpty) {
  for (const std::int64_t step : {0, 1, 2}) {
    store_->insert_step({.job_id = "j", .generation = 1, .step = step}, record(1, step, 0.3));
  }
  EXPECT_EQ(store_->steps("j", 1, {.rows = 1, .bytes = 1 << 20}).front().request.step(), 1);
  EXPECT_EQ(store_->steps("j", 0, {.rows = 100, .bytes = 1}).size(), 1u);
}

TEST_F(JobStoreTest, ADatabaseOfANewerProgramIsRefused) {
  store_.reset();
  Database(file()).execute("PRAGMA user_version = 99");
  EXPECT_THROW(JobStore{file()}, std::invalid_argument);
}

TEST_F(JobStoreTest, AFileThatIsNoDatabaseIsRefusedByName) {
  const auto other = folder_.path() / "text";
  std::ofstream(other) << std::string(5000, 'x');
  try {
    JobStore store(other);
    FAIL();
  } catch (const StoreError& error) {
    EXPECT_EQ(error.what(), other.string() + ": file is not a database");
  }
}

TEST(StateFolder, ASecondHolderIsToldThePidOfTheFirst) {
  const TempFolder folder;
  const StateFolder first(folder.path() / "new" / "state");
  try {
    const StateFolder second(folder.path() / "new" / "state");
    FAIL();
  } catch (const std::invalid_argument& refused) {
    EXPECT_EQ(refused.what(), "state folder " + (folder.path() / "new" / "state").string() +
                                  ": in use by the equipoise-coordinator with pid " + std::to_string(::getpid()));
  }
}

TEST(StateFolder, SaysWhichFileWasDeletedOrReplacedSinceItWasOpened) {
  const TempFolder folder;
  StateFolder state(folder.path());
  const JobStore store(state.database());
  state.remember_files();
  EXPECT_EQ(state.loss(), "");
  const std::string begin = "state folder " + folder.path().string() + ": coordinator.sqlite3-wal was ";
  std::filesystem::rename(state.database().string() + "-wal", folder.path() / "aside");
  EXPECT_EQ(state.loss(), begin + "deleted while this coordinator had it open");
  std::ofstream(state.database().string() + "-wal") << "another";
  EXPECT_EQ(state.loss(), begin + "replaced while this coordinator had it open");
  std::filesystem::rename(folder.path() / "aside", state.database().string() + "-wal");
  EXPECT_EQ(state.loss(), "");
  std::filesystem::rename(folder.path() / "lock", folder.path() / "aside");
  EXPECT_EQ(state.loss(),
            "state folder " + folder.path().string() + ": lock was deleted while this coordinator had it open");
}

// Programs that clean /tmp delete what nobody has written for days, and the lock is written once.
// SQLite would take it for one of another database, and remove it.
TEST(StateFolder, ALogWithoutItsDatabaseIsKept) {
  const TempFolder folder;
  const auto database = folder.path() / "coordinator.sqlite3", log = folder.path() / "coordinator.sqlite3-wal";
  folder.write("coordinator.sqlite3-wal", "steps");
  for (const bool is_empty : {false, true}) {
    if (is_empty) folder.write("coordinator.sqlite3", "");
    const std::string why = is_empty ? "coordinator.sqlite3 is empty" : "coordinator.sqlite3 is not there";
    EXPECT_THAT([&] { StateFolder{folder.path()}; }, ThrowsMessage<std::invalid_argument>(HasSubstr(why)));
  }
  EXPECT_THROW(StateFolder::existing(folder.path()), std::invalid_argument);
  EXPECT_EQ(read_file(log), "steps");
  folder.write("coordinator.sqlite3", "pages");
  EXPECT_NO_THROW(StateFolder{folder.path()});
  // As a kill at the very first start leaves them.
  folder.write("coordinator.sqlite3", "");
  folder.write("coordinator.sqlite3-wal", "");
  EXPECT_NO_THROW(StateFolder{folder.path()});
  std::filesystem::remove(database);
  EXPECT_NO_THROW(StateFolder{folder.path()});
}

TEST(StateFolder, CanBeKeptYoung) {
  const TempFolder folder;
  StateFolder state(folder.path());
  const JobStore store(state.database());
  state.remember_files();
  const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 30);
  const std::vector<std::filesystem::path> files = {folder.path() / "lock", state.database()};
  for (const auto& file : files) std::filesystem::last_write_time(file, long_ago);
  state.touch();
  for (const auto& file : files) {
    EXPECT_GT(std::filesystem::last_write_time(file), long_ago + std::chrono::hours(24 * 29)) << file;
  }
}

TEST(StateFolder, CanBeTakenAgainOnceLeft) {
  const TempFolder folder;
  { const StateFolder first(folder.path()); }
  EXPECT_NO_THROW(StateFolder{folder.path()});
}

}  // namespace job_store_test
}  // namespace equipoise::coordinator
