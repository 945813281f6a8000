// Databases that programs of schemas 4 to 9 have written (tests/golden/state): each row is there afterwards, people see
// the jobs that they saw, and a coordinator that is killed meanwhile brings them up to date at its next start.
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/protocol/job_state.h"
#include "coordinator/job/state_audit.h"
#include "coordinator/store/database.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/schema.h"
#include "tests/coordinator/support/controller_fixture.h"
#include "tests/coordinator/support/simulated_disk.h"

namespace equipoise::coordinator {
namespace earlier_databases_test {

constexpr const char* kSimulatedFile = "/simulated/earlier.sqlite3";

// What the program of a schema did with a database of the one before, and a row for its table.
constexpr const char* kTo7 = R"sql(
CREATE TABLE finished_ranks(
  job_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  step INTEGER NOT NULL,
  digest BLOB NOT NULL,
  stopped_early BLOB NOT NULL,
  PRIMARY KEY(job_id, generation, rank)) STRICT, WITHOUT ROWID;
INSERT INTO finished_ranks
  SELECT job_id, generation, 0, 10, CAST('ffffffffffffffffffffffffffffffff' AS BLOB), x'' FROM attempts
  WHERE job_id GLOB 'finishing-*';
PRAGMA user_version = 7;
)sql";
constexpr const char* kTo8 = R"sql(
ALTER TABLE events ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 8;
)sql";
constexpr const char* kTo9 = R"sql(
CREATE TABLE host_cordons(
  host TEXT PRIMARY KEY,
  cause TEXT NOT NULL,
  reason TEXT NOT NULL,
  since INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO host_cordons VALUES ('node7', 'OPERATOR', 'is being repaired', 1764547200);
PRAGMA user_version = 9;
)sql";

struct Earlier {
  std::string name;
  int made_by;  // golden/state/schema_N.sql
  std::vector<std::string> then = {};
};

void PrintTo(const Earlier& earlier, std::ostream* out) { *out << earlier.name; }

// The first commits of schema 7 and 8 made finished_ranks without the ledger's chain.
const std::vector<Earlier> kEarlier = {
    {"Schema4", 4},
    {"Schema5", 5},
    {"Schema6", 6},
    {"Schema7", 6, {kTo7}},
    {"Schema8WithoutChains", 6, {kTo7, kTo8}},
    {"Schema8", 8},
    {"Schema9WithoutChains", 6, {kTo7, kTo8, kTo9}},
    {"Schema9", 8, {kTo9}},
};

std::string text_of(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  EXPECT_TRUE(stream.good()) << file;
  return {std::istreambuf_iterator<char>(stream), {}};
}

void make_database(const std::filesystem::path& file, const Earlier& earlier) {
  Database database(file);
  database.execute(text_of("golden/state/schema_" + std::to_string(earlier.made_by) + ".sql"));
  for (const std::string& sql : earlier.then) database.execute(sql);
  database.execute("UPDATE requests SET created_at = unixepoch()");  // they are kept for 30 days
}

std::vector<std::string> column(Database& database, const std::string& sql) {
  std::vector<std::string> values;
  Statement select(database, sql);
  for (select.begin(); select.next();) values.push_back(select.bytes(0));
  return values;
}

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

using Rows = std::map<std::string, std::vector<std::string>>;  // of each table, as SQL writes values

// The columns of each table, with type and place in the key.
std::map<std::string, std::set<std::string>> columns_of_tables(Database& database) {
  std::map<std::string, std::set<std::string>> columns;
  for (const std::string& table : column(database, "SELECT name FROM sqlite_master WHERE type = 'table'")) {
    const auto described = column(database,
                                  "SELECT name || ' ' || type || ' ' || \"notnull\" || ' ' || pk FROM "
                                  "pragma_table_info('" +
                                      table + "')");
    columns[table] = {described.begin(), described.end()};
  }
  return columns;
}

// Of the columns that `of` has, where it has the table.
Rows rows_of(Database& database, const std::map<std::string, std::set<std::string>>& of) {
  Rows rows;
  for (const auto& [table, columns] : of) {
    std::vector<std::string> quoted;
    for (const std::string& one : columns) {
      std::string value = "quote(";
      value += one.substr(0, one.find(' '));
      quoted.push_back(value + ")");
    }
    rows[table] = column(database, "SELECT " + joined(quoted, " || ',' || ") + " FROM " + table + " ORDER BY 1");
  }
  return rows;
}

Rows all_rows(Database& database) { return rows_of(database, columns_of_tables(database)); }

class EarlierDatabase : public ControllerFixture, public ::testing::WithParamInterface<Earlier> {
 protected:
  EarlierDatabase() {
    const std::string name = "golden/state/schema_" + std::to_string(GetParam().made_by) + ".json";
    answers_ = nlohmann::json::parse(text_of(name));
    core_.reset();
    store_.reset();
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(file().string() + end);
    make_database(file(), GetParam());
  }
  std::filesystem::path file() const { return folder_.path() / "test.sqlite3"; }
  bool has(const std::string& name) const { return answers_["ids"].contains(name); }
  std::string id(const std::string& name) const { return answers_["ids"].at(name).get<std::string>(); }

  template <typename Message>
  static Message message(const nlohmann::json& json) {
    Message message;
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    const auto status = google::protobuf::util::JsonStringToMessage(json.dump(), &message, options);
    EXPECT_TRUE(status.ok()) << status.message();
    return message;
  }
  v1::ListTrainingJobsResponse seen() const { return message<v1::ListTrainingJobsResponse>(answers_["jobs"]); }

  nlohmann::json answers_;  // of the program that wrote the database, just before it was killed
};

TEST_P(EarlierDatabase, EachRowIsThereAfterwardsAndASecondStartChangesNone) {
  std::map<std::string, std::set<std::string>> columns;
  Rows before;
  {
    Database database(file());
    columns = columns_of_tables(database);
    before = rows_of(database, columns);
  }
  ASSERT_FALSE(before.at("jobs").empty());
  ASSERT_FALSE(before.at("steps").empty());
  { JobStore store(file()); }
  Rows once;
  {
    Database fresh(folder_ / "fresh.sqlite3"), database(file());
    const Database made = with_schema(Database(folder_ / "fresh.sqlite3"));
    EXPECT_EQ(rows_of(database, columns), before);
    EXPECT_EQ(columns_of_tables(database), columns_of_tables(fresh));
    EXPECT_EQ(column(database, "PRAGMA user_version"), column(fresh, "PRAGMA user_version"));
    once = all_rows(database);
  }
  { JobStore store(file()); }
  Database database(file());
  EXPECT_EQ(all_rows(database), once);
}

TEST_P(EarlierDatabase, PeopleSeeTheJobsThatTheySaw) {
  restart();
  const v1::ListTrainingJobsResponse before = seen();
  ASSERT_EQ(jobs().list({}).jobs_size(), before.jobs_size());
  std::set<v1::JobState> states;
  for (const v1::TrainingJob& was : before.jobs()) {
    SCOPED_TRACE(was.spec().name());
    const v1::TrainingJob& is = job(was.id());
    states.insert(was.state());
    EXPECT_GE(is.revision(), was.revision());
    EXPECT_EQ(is.revision() == was.revision(), is_final(was.state()));
    EXPECT_EQ(is.spec().SerializeAsString(), was.spec().SerializeAsString());
    EXPECT_EQ(is.generation(), was.generation());
    EXPECT_EQ(is.restarts(), was.restarts());
    EXPECT_EQ(is.step(), was.step());
    EXPECT_EQ(is.total_steps(), was.total_steps());
    EXPECT_EQ(is.checkpoint_step(), was.checkpoint_step());
    EXPECT_EQ(is.create_time().seconds(), was.create_time().seconds());
    EXPECT_EQ(is.settings_changes_size(), was.settings_changes_size());
    ASSERT_EQ(is.groups_size(), was.groups_size());
    for (int g = 0; g < is.groups_size(); ++g) {
      EXPECT_EQ(is.groups(g).name(), was.groups(g).name());
      EXPECT_EQ(is.groups(g).weight(), was.groups(g).weight());
      EXPECT_EQ(is.groups(g).validation_loss(), was.groups(g).validation_loss());
    }
    // Its mpirun has died with the coordinator.
    if (was.state() == v1::JOB_STATE_STARTING) {
      EXPECT_EQ(is.state(), v1::JOB_STATE_RECOVERING) << is.state_reason();
      continue;
    }
    EXPECT_EQ(is.state(), was.state()) << is.state_reason();
    if (!is_final(was.state()) && was.state() != v1::JOB_STATE_PAUSED) continue;
    EXPECT_EQ(is.state_reason(), was.state_reason());
  }
  EXPECT_GE(states.size(), GetParam().made_by == 4 ? 6u : 7u);
}

TEST_P(EarlierDatabase, HistoriesOfAlphaAreThoseThatItHadShownBitByBit) {
  restart();
  int steps = 0;
  for (const auto& [name, answer] : answers_["weights"].items()) {
    SCOPED_TRACE(name);
    v1::ListGroupWeightsRequest request;
    request.set_id(id(name));
    const auto was = message<v1::ListGroupWeightsResponse>(answer), is = jobs().group_weights(request);
    ASSERT_EQ(is.records_size(), was.records_size());
    for (int i = 0; i < is.records_size(); ++i) {
      EXPECT_EQ(is.records(i).SerializeAsString(), was.records(i).SerializeAsString()) << "record " << i;
      ++steps;
    }
  }
  EXPECT_GE(steps, 18);
}

TEST_P(EarlierDatabase, AttemptsCheckpointsAndAnswersAreReadAsTheyWereWritten) {
  JobStore store(file());
  const std::string trained = id("trained");
  const auto attempts = store.attempts(trained);
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].start_step, 0);
  EXPECT_TRUE(attempts[0].start_checkpoint.empty());
  const auto checkpoints = store.checkpoints(trained);
  ASSERT_EQ(checkpoints.size(), 2u);
  EXPECT_EQ(checkpoints[0].state, "DELETED");
  EXPECT_EQ(checkpoints[1].state, "COMMITTED");
  EXPECT_EQ(checkpoints[1].step, 4);
  EXPECT_EQ(checkpoints[1].bytes, 104);
  EXPECT_EQ(checkpoints[1].manifest_digest, std::string(32, 'm'));
  EXPECT_EQ(store.answered_request("create trained")->answer.id(), trained);
  const auto events = store.events(id("succeeded"), 0, 100);
  ASSERT_GE(events.size(), 3u);
  EXPECT_NE(events.back().text.find("trained on 1 rank"), std::string::npos) << events.back().text;
  if (has("resumed")) {
    const auto resumed = store.attempts(id("resumed"));
    ASSERT_EQ(resumed.size(), 2u);
    EXPECT_EQ(resumed[1].start_step, 3);
    EXPECT_FALSE(resumed[1].start_checkpoint.empty());
    EXPECT_EQ(store.lineage_step(id("resumed"), 4)->request.generation(), 2);
  }
  if (has("deleted")) {
    EXPECT_TRUE(store.deleted().contains(id("deleted")));
  }
  if (GetParam().made_by >= 6) {
    const auto recovering = store.attempts(id("recovering"));
    ASSERT_GE(recovering.size(), 2u);
    ASSERT_TRUE(recovering[0].failure);
    EXPECT_EQ(recovering[0].failure->kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  }
  if (GetParam().made_by == 8 || !GetParam().then.empty()) {
    const auto finished = store.finished_ranks(id("finishing"), 1);
    ASSERT_EQ(finished.size(), 1u);
    EXPECT_EQ(finished[0].digest, std::string(32, 'f'));
    EXPECT_EQ(finished[0].ledger_chain, GetParam().made_by == 8 ? std::string(32, 'c') : "");
  }
  if (GetParam().name.starts_with("Schema9")) {
    EXPECT_EQ(store.host_cordons().all().at("node7").reason, "is being repaired");
  }
}

TEST_P(EarlierDatabase, NothingIsDamaged) {
  restart();
  core_.reset();
  store_.reset();
  JobStore store(file(), Access::kReadOnly);
  const StateAudit audit = audit_state(store);
  EXPECT_EQ(audit.jobs, static_cast<std::size_t>(seen().jobs_size()));
  for (const DamagedJob& damaged : audit.damaged) ADD_FAILURE() << damaged.job.id() << ": " << damaged.why;
  EXPECT_TRUE(audit.set_aside.empty());
  EXPECT_TRUE(audit.file_faults.empty());
}

// The ranks go on with the next step, as if nothing had been.
TEST_P(EarlierDatabase, ARunningJobGoesOnToItsEnd) {
  restart();
  // The rank of `trained` was lost when the database of schema 8 was written.
  const bool is_of_8 = GetParam().made_by == 8;
  const std::string running = id(is_of_8 ? "resumed" : "trained");
  const std::int64_t generation = job(running).generation();
  const auto heartbeat = heartbeat_request(running, generation, 0);
  EXPECT_EQ(calls().heartbeat(heartbeat).command(), v1::HeartbeatResponse::COMMAND_CONTINUE);
  for (int step = is_of_8 ? 6 : 5; step < 10; ++step) {
    calls().report_step(step_request(running, generation, step, {0.2, 1.0}));
  }
  calls().finish_worker(finish_request(running, generation, 0, 'f'));
  if (is_of_8) mpirun_exits(running, 0);
  EXPECT_EQ(job(running).state(), v1::JOB_STATE_SUCCEEDED);
}

class KilledUpdate : public ::testing::TestWithParam<Earlier> {};

TEST_P(KilledUpdate, AtEachOfItsWritesIsDoneByTheNextStart) {
  SplitMix64 random(3);
  for (const Loss loss : {Loss::kNothing, Loss::kAll, Loss::kSome}) {
    Rows whole;
    std::int64_t writes = 0;
    for (bool was_killed = true; was_killed; ++writes) {
      ASSERT_LT(writes, 1'000);
      SimulatedDisk disk;
      make_database(kSimulatedFile, GetParam());
      disk.stop_after(writes);
      try {
        JobStore store(kSimulatedFile);
        was_killed = disk.has_stopped();
        disk.stop_after(0);
      } catch (const StoreError&) {
        disk.stop_after(0);
      }
      disk.crash(loss, random);
      { JobStore store(kSimulatedFile); }
      Database database(kSimulatedFile);
      const Rows rows = all_rows(database);
      if (whole.empty()) whole = rows;
      ASSERT_EQ(rows, whole) << "killed after " << writes << " writes";
    }
    EXPECT_GT(writes, 5);
  }
}

std::string name_of(const ::testing::TestParamInfo<Earlier>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Programs, EarlierDatabase, ::testing::ValuesIn(kEarlier), name_of);
INSTANTIATE_TEST_SUITE_P(Programs, KilledUpdate, ::testing::ValuesIn(kEarlier), name_of);

}  // namespace earlier_databases_test
}  // namespace equipoise::coordinator
