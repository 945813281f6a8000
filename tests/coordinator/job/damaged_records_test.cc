// One damaged job never keeps the service from starting: it is set aside, its records stay, and all others run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "common/base/sha256.h"
#include "common/config/job_config.h"
#include "coordinator/job/record_check.h"
#include "coordinator/job/state_audit.h"
#include "coordinator/store/database.h"
#include "coordinator/store/job_rows.h"
#include "coordinator/weights/report_format.h"
#include "tests/coordinator/support/controller_fixture.h"
#include "tests/coordinator/support/fuzz_records.h"

namespace equipoise::coordinator {
namespace damaged_records_test {

using ::testing::HasSubstr;

constexpr std::int64_t kSteps = 3;

// A job that has done some steps when the coordinator is lost, and one that waits.
class DamagedRecords : public ControllerFixture {
 protected:
  DamagedRecords() {
    damaged_ = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
    for (int step = 0; step < kSteps; ++step) calls().report_step(step_request(damaged_, 1, step, {0.2, 1.0}));
    waiting_ = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).id();
  }
  // With no coordinator about.
  void damage(const std::string& sql) {
    core_.reset();
    store_.reset();
    Database(folder_.path() / "test.sqlite3").execute(sql);
  }
  std::int64_t rows(const std::string& table) {
    Database database(folder_.path() / "test.sqlite3");
    Statement count(database, "SELECT count(*) FROM " + table + " WHERE job_id = ?");
    count.begin(damaged_);
    return count.next() ? count.integer(0) : 0;
  }
  // The ids of all jobs, newest first, in pages of that size.
  std::vector<std::string> listed(int page_size) {
    v1::ListTrainingJobsRequest request;
    request.set_page_size(page_size);
    std::vector<std::string> ids;
    do {
      const auto page = jobs().list(request);
      for (const v1::TrainingJob& one : page.jobs()) ids.push_back(one.id());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return ids;
  }
  StateAudit audit() const {
    JobStore store(folder_.path() / "test.sqlite3", Access::kReadOnly);
    return audit_state(store);
  }
  void set_damaged_aside() {
    JobStore store(folder_.path() / "test.sqlite3");
    quarantine(store, audit_state(store), clock_.wall());
  }
  void expect_set_aside(const std::string& why) {
    EXPECT_EQ(job(damaged_).state(), v1::JOB_STATE_FAILED) << why;
    EXPECT_EQ(job(damaged_).failure_kind(), v1::FAILURE_KIND_INFRASTRUCTURE) << why;
    EXPECT_THAT(job(damaged_).state_reason(), HasSubstr("set aside, as what is stored of it is damaged: "));
    EXPECT_THAT(job(damaged_).state_reason(), HasSubstr(why));
    EXPECT_EQ(jobs().list({}).jobs_size(), 2) << why;
  }
  void expect_the_other_runs() {
    core_->attempts().tick();
    ASSERT_EQ(launcher_.started.size(), 1u) << "the damaged one never runs again";
    EXPECT_EQ(launcher_.started[0].attempt.job_id, waiting_);
  }

  std::string damaged_, waiting_;
};

struct Damage {
  std::string sql, why;
  std::int64_t steps = kSteps, trainings = 1;  // that are left
};

class EachDamage : public DamagedRecords, public ::testing::WithParamInterface<Damage> {};

TEST_P(EachDamage, SetsTheJobAsideAndLeavesItsRecordsAndTheOtherJobs) {
  std::int64_t revision = job(damaged_).revision();
  damage(GetParam().sql);
  for (int start = 0; start < 2; ++start) {
    restart();
    EXPECT_GE(job(damaged_).revision(), revision);
    revision = job(damaged_).revision();
    expect_set_aside(GetParam().why);
    EXPECT_EQ(rows("steps"), GetParam().steps);
    EXPECT_EQ(rows("trainings"), GetParam().trainings);
  }
  expect_the_other_runs();
}

// Another loss of the second group than was reported.
std::string other_report() {
  const std::string report = encoded_report(step_request("", 1, 2, {0.2, 1.1}));
  return "x'" + hex_text(std::as_bytes(std::span(report))) + "'";
}

std::string step_set(const std::string& column, const std::string& value) {
  return "UPDATE steps SET " + column + " = " + value + " WHERE step = 2";
}

TEST_P(EachDamage, IsFoundByAnAuditUntilTheJobIsSetAside) {
  damage(GetParam().sql);
  const StateAudit found = audit();
  EXPECT_EQ(found.jobs, 2u);
  EXPECT_TRUE(found.file_faults.empty());
  ASSERT_EQ(found.damaged.size(), 1u);
  EXPECT_EQ(found.damaged[0].job.id(), damaged_);
  EXPECT_THAT(found.damaged[0].why, HasSubstr(GetParam().why));

  set_damaged_aside();
  EXPECT_TRUE(audit().damaged.empty());
  ASSERT_EQ(audit().set_aside.size(), 1u);
  EXPECT_EQ(audit().set_aside[0].why, found.damaged[0].why);
  EXPECT_EQ(rows("set_aside"), 1) << "with the job's record as it was";
  EXPECT_EQ(rows("steps"), GetParam().steps);
  restart();
  expect_set_aside(GetParam().why);
  expect_the_other_runs();
}

INSTANTIATE_TEST_SUITE_P(
    Rows, EachDamage,
    ::testing::Values(
        Damage{.sql = "UPDATE jobs SET job = substr(job, 1, length(job) - 1) WHERE sequence = 1",
               .why = "its record cannot be read"},
        Damage{.sql = "UPDATE jobs SET job = x'ff' WHERE sequence = 1", .why = "its record cannot be read"},
        Damage{.sql = "UPDATE jobs SET job = (SELECT job FROM jobs WHERE sequence = 2) WHERE sequence = 1",
               .why = "its record is that of job \"survey-"},
        Damage{.sql = "UPDATE jobs SET state = 'QUEUED' WHERE sequence = 1",
               .why = "its record is not as it was stored: the checksum is of another"},
        Damage{.sql = "UPDATE jobs SET checksum = x'' WHERE sequence = 1", .why = "the checksum is of another"},
        Damage{.sql = "DELETE FROM attempts", .why = "the start of attempt 1 is missing"},
        Damage{.sql = "UPDATE attempts SET start_step = NULL", .why = "the start of attempt 1 is missing"},
        Damage{.sql = "UPDATE attempts SET start_step = 1",
               .why = "attempt 1 starts at step 1, but its plan at step 0"},
        Damage{.sql = step_set("log_alpha", "zeroblob(16)"), .why = "a step is damaged"},
        Damage{.sql = step_set("weight", "zeroblob(15)"), .why = "a vector of a step is damaged"},
        Damage{.sql = step_set("request", "x'ff'"), .why = "a step is damaged"},
        Damage{.sql = step_set("request", "substr(request, 1, length(request) - 1)"), .why = "a step is damaged"},
        Damage{.sql = step_set("request", other_report()),
               .why = "step 2 of attempt 1: its numbers are not those that were stored"},
        Damage{.sql = step_set("digest", "x'00'"),
               .why = "step 2 of attempt 1: its numbers are not those that were stored"},
        Damage{.sql = step_set("digest", "(SELECT digest FROM steps WHERE step = 1)"),
               .why = "step 2 of attempt 1: its numbers are not those that were stored"},
        Damage{.sql = step_set("result_digest", "zeroblob(16)"),
               .why = "its report gives other weights than those on record"},
        Damage{.sql = step_set("result_digest", "x''"), .why = "a step is damaged"},
        Damage{.sql = "DELETE FROM steps WHERE step = 1", .why = "1 steps of attempt 1 are missing", .steps = 2},
        Damage{.sql = "DELETE FROM steps WHERE step = 0", .why = "step 0 of attempt 1 is missing", .steps = 2},
        Damage{.sql = "UPDATE steps SET step = 9223372036854775807 WHERE step = 2", .why = "has a step that is none"},
        Damage{.sql = "DELETE FROM trainings", .why = "the training of attempt 1 is missing", .trainings = 0},
        Damage{.sql = "UPDATE trainings SET generation = 2", .why = "the training of attempt 1 is missing"},
        Damage{.sql = "UPDATE trainings SET request = x'ff'", .why = "a training is damaged"},
        Damage{.sql = "UPDATE trainings SET request = x''", .why = "group_names has 0 groups"}));

// What is stored of it refuses every write, and is found only while it runs.
class RefusedRecords : public ControllerFixture {
 protected:
  std::string queued() {
    v1::JobSpec spec = two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1);
    spec.mutable_launch()->set_max_restarts(3);
    return jobs().create(create_request(spec)).id();
  }
  void refuse_writes_of(const std::string& id) {
    std::string sql = "CREATE TRIGGER refusal BEFORE UPDATE ON jobs WHEN old.id = '";
    sql += id + "' BEGIN SELECT RAISE(ABORT, 'damaged'); END";
    Database(folder_.path() / "test.sqlite3").execute(sql);
  }
  void expect_set_aside(const std::string& id) {
    EXPECT_EQ(job(id).state(), v1::JOB_STATE_FAILED);
    EXPECT_THAT(job(id).state_reason(), HasSubstr("set aside, as what is stored of it is damaged: "));
  }
};

TEST_F(RefusedRecords, OfAJobThatRecoversKeepNoPlaceFromYoungerJobs) {
  const auto refused = queued(), younger = queued();
  core_->attempts().tick();
  ASSERT_EQ(launcher_.started.size(), 1u);
  refuse_writes_of(refused);
  mpirun_exits(refused, 137);
  core_->attempts().tick();
  expect_set_aside(refused);
  ASSERT_EQ(launcher_.started.size(), 2u);
  EXPECT_EQ(launcher_.started[1].attempt.job_id, younger);
  EXPECT_TRUE(core_->table().take_failure()) << "it is said";
  core_->attempts().tick();
  EXPECT_FALSE(core_->table().take_failure()) << "and not tried again";
}

TEST_F(RefusedRecords, OfAJobThatIsToStartAreTriedOnce) {
  const auto refused = queued(), younger = queued();
  refuse_writes_of(refused);
  core_->attempts().tick();
  expect_set_aside(refused);
  ASSERT_EQ(launcher_.started.size(), 1u);
  EXPECT_EQ(launcher_.started[0].attempt.job_id, younger);
}

TEST_F(RefusedRecords, DoNotHideThatTheDiskIsFull) {
  JobTable& table = core_->table();
  table.note_failure(StoreError(StoreError::Cause::kFull, "full"));
  table.note_failure(StoreError(StoreError::Cause::kDamaged, "damaged"));
  EXPECT_EQ(table.take_failure()->cause(), StoreError::Cause::kFull);
}

// Bytes changed, cut off or put in at random, in any record of the job.
class RandomDamage : public DamagedRecords {
 protected:
  RandomDamage() {
    core_.reset();
    store_.reset();  // closed in order: all is in one file
    std::filesystem::copy_file(file(), whole());
  }
  std::filesystem::path file() const { return folder_.path() / "test.sqlite3"; }
  std::filesystem::path whole() const { return folder_.path() / "whole.sqlite3"; }
  void make_whole() {
    core_.reset();
    store_.reset();
    std::filesystem::copy_file(whole(), file(), std::filesystem::copy_options::overwrite_existing);
  }
  void damage_somewhere() {
    struct Column {
      std::string table, name, row;
    };
    static const std::vector<Column> columns = {
        {"jobs", "job", "sequence = 1"},   {"jobs", "job", "sequence = 1"},  {"trainings", "request", "true"},
        {"trainings", "response", "true"}, {"steps", "request", "step = 2"}, {"steps", "result_digest", "step = 2"},
        {"steps", "request", "step = 1"},  {"steps", "digest", "step = 2"}};
    const Column& column = columns[random_() % columns.size()];
    Database database(file());
    Statement select(database, "SELECT " + column.name + " FROM " + column.table + " WHERE " + column.row);
    select.begin();
    ASSERT_TRUE(select.next());
    const std::string bytes = changed_bytes(select.bytes(0), random_);
    select.reset();
    Statement(database, "UPDATE " + column.table + " SET " + column.name + " = ? WHERE " + column.row).run(Blob{bytes});
  }

  std::mt19937_64 random_{6};
};

TEST_F(RandomDamage, OfOneJobLeavesTheServiceAndTheOtherJob) {
  for (int i = 0; i < 200; ++i) {
    make_whole();
    damage_somewhere();
    EXPECT_EQ(audit().jobs, 2u) << i;
    restart();
    ASSERT_EQ(jobs().list({}).jobs_size(), 2) << i;
    ASSERT_EQ(job(waiting_).state(), v1::JOB_STATE_QUEUED) << i;
    v1::ListGroupWeightsRequest history;
    history.set_id(damaged_);
    try {
      jobs().group_weights(history);
    } catch (const std::exception&) {  // says so, and ends nothing
      continue;
    }
  }
}

TEST_F(RandomDamage, OfManyJobsAtOnceLeavesTheServiceAndTheOtherJobs) {
  constexpr int kAtOnce = 2'000;
  restart();
  pass(std::chrono::seconds(31));  // the ranks of the job that was training have not come back
  v1::TrainingJob base = job(damaged_);
  for (int made = 0; made < fuzz_records(kAtOnce); made += kAtOnce) {
    make_whole();
    insert_damaged_jobs(file(), {base}, kAtOnce, random_);
    EXPECT_EQ(audit().jobs, 2u + kAtOnce);
    restart();
    ASSERT_EQ(listed(1'000).size(), 2u + kAtOnce);
    ASSERT_EQ(job(waiting_).state(), v1::JOB_STATE_QUEUED);
  }
}

TEST_F(DamagedRecords, OfWholeJobsAnAuditFindsNone) {
  core_.reset();
  store_.reset();
  EXPECT_EQ(audit().jobs, 2u);
  EXPECT_TRUE(audit().damaged.empty());
  EXPECT_TRUE(audit().set_aside.empty());
}

TEST_F(DamagedRecords, AJobThatHadEndedKeepsItsStateAndGetsACondition) {
  pass(std::chrono::seconds(31));  // its ranks are silent, and it ends
  const std::string reason = job(damaged_).state_reason();
  damage(step_set("digest", "x'00'"));
  ASSERT_EQ(audit().damaged.size(), 1u);
  set_damaged_aside();
  restart();
  EXPECT_EQ(job(damaged_).state_reason(), reason);
  ASSERT_EQ(job(damaged_).conditions_size(), 1);
  EXPECT_EQ(job(damaged_).conditions(0), "set aside: step 2 of attempt 1: its numbers are not those that were stored");
}

// SQLite gives no number after it.
TEST_F(DamagedRecords, ARowWithTheLargestNumberKeepsNobodyFromMakingJobs) {
  damage("UPDATE jobs SET sequence = 9223372036854775807 WHERE id = '" + damaged_ +
         "'; UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'jobs'");
  restart();
  const auto spec = two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1);
  const std::string first = jobs().create(create_request(spec)).id(), second = jobs().create(create_request(spec)).id();
  restart();
  EXPECT_EQ(listed(1), (std::vector<std::string>{damaged_, second, first, waiting_}));
}

TEST_F(DamagedRecords, AJobInAStateThatIsNoneIsSetAside) {
  v1::TrainingJob none = job(damaged_);
  none.set_state(static_cast<v1::JobState>(77));
  store_->update_job(none);
  restart();
  expect_set_aside("its record has state 77, which is none");
  EXPECT_EQ(job(damaged_).spec().name(), "survey");
  expect_the_other_runs();
}

// An attempt that goes on from a checkpoint starts where the steps before it end, or below.
TEST_F(DamagedRecords, AnAttemptMayStartAtMostOnePastTheStepsBeforeIt) {
  v1::TrainingJob next = job(damaged_);
  next.set_generation(2);
  const auto fault_of_start = [&](std::int64_t first_step) {
    StoredTraining training{.request = start_request(damaged_, 2), .response = {}};
    training.response.mutable_plan()->set_first_step(first_step);
    training.response.mutable_plan()->set_end_step(10);
    training.response.mutable_plan()->set_num_pairs(6);
    next.set_step(first_step);
    store_->start_training(next, training, "checkpoints/here");
    const std::string fault = newest_attempt_fault(*store_, make_job_config(next.spec()), next);
    Database(folder_.path() / "test.sqlite3").execute("DELETE FROM trainings WHERE generation = 2");
    return fault;
  };
  EXPECT_EQ(fault_of_start(0), "");
  EXPECT_EQ(fault_of_start(kSteps - 1), "");
  EXPECT_EQ(fault_of_start(kSteps), "");
  EXPECT_EQ(fault_of_start(kSteps + 1), "attempt 2 starts at step 4, but the steps before it end at step 3");
}

// The service was lost between the request and what would have come of it.
TEST_F(DamagedRecords, AJobThatWasToBeCancelledIsCancelledAtTheNextStart) {
  store_->update_job(job(waiting_), DesiredState::kCancel);
  store_->update_job(job(damaged_), DesiredState::kCancel);
  restart();
  EXPECT_EQ(job(waiting_).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(job(waiting_).state_reason(), "cancelled on request before it started");
  EXPECT_EQ(job(damaged_).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(job(damaged_).state_reason(), "cancelled on request; the coordinator was lost");
  core_->attempts().tick();
  EXPECT_TRUE(launcher_.started.empty());
}

// Watchers see revisions that are never stored, and a quarantine took the one after the stored one.
TEST_F(DamagedRecords, TheRevisionOfAJobThatIsSetAsideDoesNotFall) {
  for (int step = kSteps; step < 9; ++step) calls().report_step(step_request(damaged_, 1, step, {0.2, 1.0}));
  const std::int64_t seen = job(damaged_).revision();
  damage(step_set("digest", "x'00'"));
  set_damaged_aside();
  restart();
  EXPECT_EQ(job(damaged_).state(), v1::JOB_STATE_FAILED);
  EXPECT_GT(job(damaged_).revision(), seen);
}

TEST_F(DamagedRecords, EachChangeOfStateIsAnEvent) {
  restart();
  pass(std::chrono::seconds(31));  // its ranks do not come back
  std::vector<std::string> texts;
  std::int64_t last = 0;
  for (const StoredEvent& event : store_->events(damaged_, 0, 100)) {
    texts.push_back(event.text);
    EXPECT_GT(event.revision, last);
    last = event.revision;
  }
  EXPECT_EQ(last, job(damaged_).revision());
  EXPECT_THAT(texts, ::testing::ElementsAre(HasSubstr("QUEUED: "), HasSubstr("STARTING: "), HasSubstr("RUNNING: "),
                                            HasSubstr("FAILED: rank 0 has not been heard of within 30 s")));
}

TEST_F(DamagedRecords, CallsOfItsRanksAreRefusedAndEndNothing) {
  damage("DELETE FROM trainings");
  restart();
  EXPECT_THROW(calls().report_step(step_request(damaged_, 1, 2, {0.2, 1.0})), StoreError);
  EXPECT_EQ(error_of([&] {
              calls().report_step(step_request(damaged_, 1, 3, {0.2, 1.0}));
            }).code,
            Refusal::Code::kFailedPrecondition);
}

TEST_F(DamagedRecords, TheJobCanBeDeleted) {
  damage("UPDATE jobs SET job = x'ff' WHERE sequence = 1");
  restart();
  jobs().remove(damaged_);
  core_->cleaner().tick();
  EXPECT_EQ(rows("steps"), 0);
  restart();
  EXPECT_EQ(jobs().list({}).jobs_size(), 1);
}

// A state's reason came from a file or a program, and a message with other text than UTF-8 is stored but not read.
TEST_F(DamagedRecords, TextThatIsNotUtf8DamagesNoRecord) {
  launcher_.refusal = "cannot run /opt/\xff/mpirun";
  core_->attempts().tick();
  EXPECT_EQ(job(waiting_).state_reason(), "mpirun could not be started: cannot run /opt/?/mpirun");
  const std::string reason = job(waiting_).state_reason();
  restart();
  EXPECT_EQ(job(waiting_).state_reason(), reason);
}

}  // namespace damaged_records_test
}  // namespace equipoise::coordinator
