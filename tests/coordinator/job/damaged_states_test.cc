// Random damage to what is stored of jobs in every state, in every table: the service starts, all other jobs are whole
// and go on, and --check and --quarantine name the job.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/protocol/job_state.h"
#include "coordinator/job/state_audit.h"
#include "coordinator/store/database.h"
#include "coordinator/store/job_rows.h"
#include "tests/coordinator/support/controller_fixture.h"
#include "tests/coordinator/support/fuzz_records.h"

namespace equipoise::coordinator {
namespace damaged_states_test {

namespace fs = std::filesystem;

constexpr int kSteps = 3;

struct Column {
  std::string table, key, name, type;  // key: the column with the job's id
};

void PrintTo(const Column& column, std::ostream* out) { *out << column.table << "." << column.name; }

class RandomDamageOfStates : public ControllerFixture {
 protected:
  RandomDamageOfStates() {
    settings_.supervisor.max_running_jobs = 2;
    restart();
    failed_ = trained(v1::LAUNCH_MODE_EXTERNAL);
    pass(std::chrono::seconds(31));  // its rank is silent
    succeeded_ = running_job(v1::LAUNCH_MODE_EXTERNAL, 1);
    do_all_steps(succeeded_);
    calls().finish_worker(finish_request(succeeded_, 1, 0, 'x'));
    cancelled_ = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_EXTERNAL, 1))).id();
    jobs().cancel(cancelled_);
    paused_ = trained(v1::LAUNCH_MODE_EXTERNAL);
    jobs().pause(paused_);
    point_ = checkpoint(paused_);
    leave(paused_);
    recovering_ = trained(v1::LAUNCH_MODE_COORDINATOR);
    checkpoint(recovering_);
    mpirun_exits(recovering_, 137);
    launched_ = trained(v1::LAUNCH_MODE_COORDINATOR);
    of_user_ = trained(v1::LAUNCH_MODE_EXTERNAL);
    fork_ = fork_of(launched_);
    queued_ = jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).id();
    core_.reset();
    store_.reset();  // closed in order: all is in one file
    fs::copy_file(file(), whole());
    columns_ = read_columns();
    start();
    for (const std::string& id : all()) undisturbed_[id] = without_revision(job(id));
  }

  // A job with some steps.
  std::string trained(v1::LaunchMode mode) {
    v1::JobSpec spec = two_group_spec(mode, 1);
    if (mode == v1::LAUNCH_MODE_COORDINATOR) spec.mutable_launch()->set_max_restarts(3);
    const std::string id = running_job(spec);
    for (int step = 0; step < kSteps; ++step) calls().report_step(step_request(id, 1, step, {0.2, 1.0}));
    return id;
  }
  void leave(const std::string& id) {
    v1::LeaveWorkerRequest request;
    request.set_job_id(id);
    request.set_generation(1);
    request.set_step(kSteps);
    calls().leave_worker(request);
  }
  std::string fork_of(const std::string& id) {
    const fs::path folder = fs::path(job(id).spec().output()) / "checkpoints" / ("step-" + std::to_string(kSteps));
    fs::create_directories(folder);
    std::ofstream(folder / "manifest.json") << "{}";
    checkpoint(id);
    v1::ForkTrainingJobRequest request;
    request.set_id(id);
    *request.mutable_spec() = job(id).spec();
    request.mutable_spec()->mutable_launch()->set_mode(v1::LAUNCH_MODE_EXTERNAL);
    request.mutable_spec()->set_output(job(id).spec().output() + "-fork");
    return jobs().fork(request).id();
  }

  fs::path file() const { return folder_.path() / "test.sqlite3"; }
  fs::path whole() const { return folder_.path() / "whole.sqlite3"; }
  std::vector<std::string> all() const {
    return {failed_, succeeded_, cancelled_, paused_, recovering_, launched_, of_user_, fork_, queued_};
  }
  void start() { restart({{.job_id = launched_, .generation = 1}}); }
  void make_whole() {
    core_.reset();
    store_.reset();
    fs::copy_file(whole(), file(), fs::copy_options::overwrite_existing);
  }
  StateAudit audit() const {
    JobStore store(file(), Access::kReadOnly);
    return audit_state(store);
  }
  static std::set<std::string> ids(const std::vector<DamagedJob>& damaged) {
    std::set<std::string> found;
    for (const DamagedJob& one : damaged) found.insert(one.job.id());
    return found;
  }
  static std::string without_revision(v1::TrainingJob job) {
    job.clear_revision();
    return job.ShortDebugString();
  }

  // Of every table with rows of jobs.
  std::vector<Column> read_columns() const {
    Database database(file());
    Statement select(
        database,
        "SELECT m.name, k.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) k, "
        "pragma_table_info(m.name) c WHERE m.type = 'table' AND k.name = iif(m.name = 'jobs', 'id', 'job_id') "
        "AND m.name NOT IN ('set_aside', 'deleted_jobs') ORDER BY m.name, c.cid");
    std::vector<Column> columns;
    select.begin();
    while (select.next()) columns.push_back({select.bytes(0), select.bytes(1), select.bytes(2), select.bytes(3)});
    return columns;
  }
  std::int64_t other_integer(std::int64_t value) {
    const std::array<std::int64_t, 7> others = {0,
                                                -1,
                                                value + 1,
                                                value - 1,
                                                std::numeric_limits<std::int64_t>::max(),
                                                std::numeric_limits<std::int64_t>::min(),
                                                static_cast<std::int64_t>(random_())};
    return others[random_() % others.size()];
  }
  // Of one row of that job; false where it has none there.
  bool damage(const std::string& id, const Column& column) {
    Database database(file());
    database.execute("PRAGMA synchronous = OFF");
    const std::string of_job = " WHERE " + column.key + " = ?";
    Statement select(database, "SELECT " + column.name + " FROM " + column.table + of_job);
    std::vector<std::string> rows;
    for (select.begin(id); select.next();) rows.push_back(select.bytes(0));
    if (rows.empty()) return false;
    const std::string& row = rows[random_() % rows.size()];
    const std::string one_row = of_job + " AND CAST(" + column.name + " AS BLOB) IS ?";
    if (random_() % 8 == 0) {
      Statement(database, "DELETE FROM " + column.table + one_row).run(id, Blob{row});
      return column.table != "jobs";  // a job that is not there any more is not named by anybody
    }
    Statement update(database, "UPDATE OR IGNORE " + column.table + " SET " + column.name + " = ?" + one_row);
    if (column.type == "INTEGER") {
      update.run(other_integer(row.empty() ? 0 : std::stoll(row)), id, Blob{row});
    } else if (column.type == "TEXT") {
      update.run(changed_bytes(row, random_), id, Blob{row});
    } else {
      update.run(Blob{changed_bytes(row, random_)}, id, Blob{row});
    }
    return true;
  }

  bool is_set_aside(const std::string& id) {
    const auto& conditions = job(id).conditions();
    return job(id).state_reason().find("set aside, as what is stored of it is damaged") != std::string::npos ||
           std::ranges::any_of(conditions, [](const std::string& text) { return text.starts_with("set aside: "); });
  }
  void expect_whole(const std::string& damaged) {
    for (const std::string& id : all()) {
      if (id != damaged) {
        EXPECT_EQ(without_revision(job(id)), undisturbed_[id]);
      }
    }
  }
  void expect_to_go_on(const std::string& damaged) {
    for (const std::string& id : {launched_, of_user_}) {
      if (id == damaged) continue;
      EXPECT_EQ(calls().heartbeat(heartbeat_request(id, 1, 0)).command(), v1::HeartbeatResponse::COMMAND_CONTINUE);
      calls().report_step(step_request(id, 1, kSteps, {0.2, 1.0}));
      EXPECT_EQ(job(id).step(), kSteps + 1);
    }
    if (damaged != paused_) {
      EXPECT_EQ(jobs().resume(paused_).state(), v1::JOB_STATE_QUEUED);
    }
    if (damaged != recovering_) {
      clock_.advance(std::chrono::seconds(3));
      core_->attempts().tick();
      // Nothing tells that a place in the queue is another than it was: its job may be ahead of others now.
      const bool is_overtaken = !damaged.empty() && std::ranges::any_of(core_->table().jobs(), [&](const auto& entry) {
        return entry.second.job.state() == v1::JOB_STATE_STARTING && entry.second.job.id() != recovering_;
      });
      EXPECT_EQ(job(recovering_).state(), is_overtaken ? v1::JOB_STATE_RECOVERING : v1::JOB_STATE_STARTING);
    }
    if (damaged != queued_) {
      EXPECT_EQ(jobs().cancel(queued_).state(), v1::JOB_STATE_CANCELLED);
    }
    EXPECT_EQ(jobs().create(create_request(two_group_spec(v1::LAUNCH_MODE_COORDINATOR, 1))).state(),
              v1::JOB_STATE_QUEUED);
  }

  std::string failed_, succeeded_, cancelled_, paused_, recovering_, launched_, of_user_, fork_, queued_;
  v1::ResumePoint point_;
  std::vector<Column> columns_;
  std::map<std::string, std::string> undisturbed_;  // by id: as a coordinator has them that starts
  std::mt19937_64 random_{8};
};

TEST_F(RandomDamageOfStates, TheyAreInTheStatesThatTheyAreToBeIn) {
  const std::map<std::string, v1::JobState> states = {
      {failed_, v1::JOB_STATE_FAILED},   {succeeded_, v1::JOB_STATE_SUCCEEDED},   {cancelled_, v1::JOB_STATE_CANCELLED},
      {paused_, v1::JOB_STATE_PAUSED},   {recovering_, v1::JOB_STATE_RECOVERING}, {launched_, v1::JOB_STATE_RUNNING},
      {of_user_, v1::JOB_STATE_RUNNING}, {fork_, v1::JOB_STATE_QUEUED},           {queued_, v1::JOB_STATE_QUEUED}};
  for (const auto& [id, state] : states) EXPECT_EQ(job(id).state(), state) << job(id).state_reason();
  expect_to_go_on("");
  EXPECT_GT(columns_.size(), 40u);
  make_whole();
  EXPECT_TRUE(audit().damaged.empty());
}

TEST_F(RandomDamageOfStates, OfOneJobLeavesTheServiceAndAllOthers) {
  constexpr int kUsual = 300, kMost = 20'000;
  std::map<std::string, int> named;  // by table
  for (int i = 0; i < std::min(fuzz_records(kUsual), kMost); ++i) {
    make_whole();
    const std::string id = all()[random_() % all().size()];
    const Column& column = columns_[random_() % columns_.size()];
    SCOPED_TRACE(::testing::Message() << i << ": " << id << ", " << ::testing::PrintToString(column));
    if (!damage(id, column)) continue;
    const StateAudit found = audit();
    const std::set<std::string> damaged = ids(found.damaged);
    if (column.name != "id") {
      EXPECT_EQ(found.jobs, all().size());
    }
    for (const std::string& one : damaged) {
      if (column.name != "id") {
        EXPECT_EQ(one, id);
      }
    }
    named[column.table] += damaged.empty() ? 0 : 1;
    const bool is_quarantined = random_() % 2 == 0;
    if (is_quarantined) {
      JobStore store(file());
      quarantine(store, found, clock_.wall());
    }
    if (is_quarantined) {
      EXPECT_TRUE(audit().damaged.empty());
    }
    ASSERT_NO_THROW(start());
    expect_whole(id);
    // Who is set aside at a start is named before it.
    for (const std::string& one : all()) {
      if (column.name != "id" && is_set_aside(one)) {
        EXPECT_TRUE(damaged.contains(one)) << job(one).state_reason();
      }
    }
    ASSERT_NO_THROW(expect_to_go_on(id));
    if (HasFailure()) return;
  }
  for (const char* table : {"jobs", "attempts", "trainings", "steps"}) EXPECT_GT(named[table], 0) << table;
}

TEST_F(RandomDamageOfStates, OfManyRecordsAtOnceLeavesTheServiceAndAllOtherJobs) {
  constexpr int kAtOnce = 2'000;
  std::vector<v1::TrainingJob> bases;
  for (const std::string& id : all()) bases.push_back(job(id));
  for (int made = 0; made < fuzz_records(kAtOnce); made += kAtOnce) {
    make_whole();
    insert_damaged_jobs(file(), bases, kAtOnce, random_);
    EXPECT_EQ(audit().jobs, all().size() + kAtOnce);
    ASSERT_NO_THROW(start());
    for (const v1::TrainingJob& base : bases) EXPECT_EQ(job(base.id()).state(), base.state());
    for (const std::string& id : {launched_, of_user_}) {
      calls().report_step(step_request(id, 1, kSteps, {0.2, 1.0}));
      EXPECT_EQ(job(id).step(), kSteps + 1);
    }
    pass(std::chrono::seconds(2));  // whatever can start starts
    if (HasFailure()) return;
  }
}

}  // namespace damaged_states_test
}  // namespace equipoise::coordinator
