#include "coordinator/store/job_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>

#include "coordinator/store/state_folder.h"
#include "tests/coordinator/support/requests.h"
#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {
namespace job_store_test {

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
  static v1::TrainingJob job(const std::string& id) {
    v1::TrainingJob job;
    job.set_id(id);
    job.set_state(v1::JOB_STATE_QUEUED);
    return job;
  }
  StepRecord record(std::int64_t generation, std::int64_t step, double loss) {
    RobustSettings settings;
    settings.mode = RobustMode::kGroupRobust;
    const WeightOwner owner(settings, {.names = {"a", "b"}, .pair_count_K = {1, 1}}, 2);
    return owner.prepare(step_request("j", generation, step, {loss, 0.1}));
  }

  TempFolder folder_;
  std::optional<JobStore> store_{file()};
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
  Database(file()).execute("INSERT INTO requests VALUES ('older', x'00', x'', unixepoch() - 31 * 86400)");
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

TEST_F(JobStoreTest, AStepComesBackBitForBit) {
  const StepRecord written = record(1, 0, 0.3);
  store_->insert_step({.job_id = "j", .generation = 1, .step = 0}, written);
  reopen();
  const auto read = store_->step({.job_id = "j", .generation = 1, .step = 0});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->weight, written.weight);
  EXPECT_EQ(read->log_alpha_K, written.log_alpha_K);
  EXPECT_EQ(read->digest, written.digest);
  EXPECT_FALSE(store_->step({.job_id = "j", .generation = 2, .step = 0}));
}

TEST_F(JobStoreTest, TheLossesOfAClosedFormComeBackBitForBitUnknownOnesToo) {
  StepRecord written = record(1, 0, 0.3);
  written.group_loss_K = {std::nextafter(0.3, 1.0), std::numeric_limits<double>::quiet_NaN()};
  store_->insert_step({.job_id = "j", .generation = 1, .step = 0}, written);
  reopen();
  EXPECT_EQ(bits_of(store_->last_step("j", 1)->group_loss_K), bits_of(written.group_loss_K));
  EXPECT_EQ(bits_of(store_->steps("j", 0, {.rows = 1, .bytes = 1 << 20})[0].group_loss_K),
            bits_of(written.group_loss_K));
}

TEST_F(JobStoreTest, AStepMayHaveNoGroupsAtAll) {
  StepRecord written = record(1, 0, 0.3);
  written.weight.clear();
  const StepKey key{.job_id = "j", .generation = 1, .step = 0};
  store_->insert_step(key, written);
  EXPECT_TRUE(store_->step(key)->weight.empty());
}

// What the first version of the program made.
constexpr const char* kFirstVersion = R"sql(
CREATE TABLE jobs(sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
  job BLOB NOT NULL) STRICT;
CREATE TABLE requests(request_id TEXT PRIMARY KEY, digest BLOB NOT NULL, answer BLOB NOT NULL,
  created_at INTEGER NOT NULL DEFAULT (unixepoch())) STRICT, WITHOUT ROWID;
CREATE TABLE trainings(job_id TEXT NOT NULL, generation INTEGER NOT NULL, request BLOB NOT NULL, response BLOB NOT NULL,
  PRIMARY KEY(job_id, generation)) STRICT, WITHOUT ROWID;
CREATE TABLE steps(job_id TEXT NOT NULL, step INTEGER NOT NULL, generation INTEGER NOT NULL, digest BLOB NOT NULL,
  request BLOB NOT NULL, weight BLOB NOT NULL, log_alpha BLOB NOT NULL,
  PRIMARY KEY(job_id, step, generation)) STRICT, WITHOUT ROWID;
CREATE TABLE signing_key(key BLOB NOT NULL) STRICT;
INSERT INTO signing_key VALUES (x'0102');
PRAGMA user_version = 1;
)sql";

TEST_F(JobStoreTest, ADatabaseOfTheFirstVersionGoesOn) {
  const auto old_file = folder_.path() / "old.sqlite3";
  const StepRecord old_step = record(1, 0, 0.3);
  {
    Database old(old_file);
    old.execute(kFirstVersion);
    const std::string bits(reinterpret_cast<const char*>(old_step.log_alpha_K.data()), 2 * sizeof(double));
    Statement(old, "INSERT INTO steps VALUES ('j', 0, 1, ?, ?, ?, ?)")
        .run(Blob{old_step.digest}, Blob{old_step.request.SerializeAsString()}, Blob{bits}, Blob{bits});
    Statement(old, "INSERT INTO jobs(id, state, job) VALUES ('j', 'RUNNING', ?)")
        .run(Blob{job("j").SerializeAsString()});
  }
  StepRecord next = record(1, 1, 0.4);
  next.group_loss_K = {0.4, 0.1};
  for (const bool is_first : {true, false}) {  // it is brought up to date once
    JobStore store(old_file);
    ASSERT_EQ(store.jobs().size(), 1u);
    EXPECT_EQ(store.signing_key(), "\x01\x02");
    const auto read = store.step({.job_id = "j", .generation = 1, .step = 0});
    EXPECT_EQ(read->log_alpha_K, old_step.log_alpha_K);
    EXPECT_EQ(read->digest, old_step.digest);
    EXPECT_TRUE(read->group_loss_K.empty());
    if (is_first) store.insert_step({.job_id = "j", .generation = 1, .step = 1}, next);
    EXPECT_EQ(store.last_step("j", 1)->group_loss_K, next.group_loss_K);
  }
}

TEST_F(JobStoreTest, AnUpdateThatFailsLeavesTheDatabaseOfTheOlderProgram) {
  const auto old_file = folder_.path() / "old.sqlite3";
  Database(old_file).execute(std::string(kFirstVersion) + "DROP TABLE steps;");
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

TEST_F(JobStoreTest, HistoryShowsTheNewestGenerationThatReachedEachStep) {
  for (const std::int64_t step : {0, 1, 2}) {
    store_->insert_step({.job_id = "j", .generation = 1, .step = step}, record(1, step, 0.3));
  }
  store_->insert_step({.job_id = "j", .generation = 2, .step = 1}, record(2, 1, 0.4));
  const auto steps = store_->steps("j", 0, {.rows = 100, .bytes = 1 << 20});
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].request.generation(), 1);
  EXPECT_EQ(steps[1].request.generation(), 2);
  EXPECT_EQ(steps[1].request.loss_sum(0), 0.4);
  EXPECT_EQ(steps[2].request.generation(), 1);
  EXPECT_EQ(store_->last_step("j", 2)->request.step(), 1);
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
