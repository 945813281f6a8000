#include "tests/coordinator/support/earlier_schemas.h"

#include <cstdint>

#include "coordinator/store/database.h"

namespace equipoise::coordinator {
namespace {

constexpr const char* kJobsOf2 = R"sql(
CREATE TABLE jobs(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  job BLOB NOT NULL) STRICT;
)sql";

constexpr const char* kJobsOf3 = R"sql(
CREATE TABLE jobs(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  job BLOB NOT NULL,
  desired TEXT NOT NULL,
  checksum BLOB NOT NULL) STRICT;
CREATE TABLE attempts(
  job_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  state TEXT NOT NULL,
  start_step INTEGER,
  start_checkpoint TEXT NOT NULL DEFAULT '',
  token_hash BLOB NOT NULL DEFAULT x'',
  launcher TEXT NOT NULL DEFAULT '',
  hosts TEXT NOT NULL DEFAULT '',
  cause TEXT NOT NULL DEFAULT '',
  exit_code INTEGER,
  started_at INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(job_id, generation)) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints(
  job_id TEXT NOT NULL,
  step INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  folder TEXT NOT NULL,
  manifest_digest BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY(job_id, step, generation)) STRICT, WITHOUT ROWID;
CREATE TABLE events(
  job_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  time INTEGER NOT NULL DEFAULT (unixepoch()),
  kind TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY(job_id, revision, kind)) STRICT, WITHOUT ROWID;
CREATE TABLE set_aside(
  job_id TEXT PRIMARY KEY,
  why TEXT NOT NULL,
  job BLOB NOT NULL,
  created_at INTEGER NOT NULL DEFAULT (unixepoch())) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* kCommonTables = R"sql(
CREATE TABLE requests(
  request_id TEXT PRIMARY KEY,
  digest BLOB NOT NULL,
  answer BLOB NOT NULL,
  created_at INTEGER NOT NULL DEFAULT (unixepoch())) STRICT, WITHOUT ROWID;
CREATE TABLE trainings(
  job_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  request BLOB NOT NULL,
  response BLOB NOT NULL,
  PRIMARY KEY(job_id, generation)) STRICT, WITHOUT ROWID;
CREATE TABLE signing_key(key BLOB NOT NULL) STRICT;
INSERT INTO signing_key VALUES (x'0102');
)sql";

constexpr const char* kStepsOf1 = R"sql(
CREATE TABLE steps(
  job_id TEXT NOT NULL,
  step INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  digest BLOB NOT NULL,
  request BLOB NOT NULL,
  weight BLOB NOT NULL,
  log_alpha BLOB NOT NULL,
  PRIMARY KEY(job_id, step, generation)) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* kStepsOf2 = R"sql(
CREATE TABLE steps(
  job_id TEXT NOT NULL,
  step INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  digest BLOB NOT NULL,
  request BLOB NOT NULL,
  weight BLOB NOT NULL,
  log_alpha BLOB NOT NULL, group_loss BLOB NOT NULL DEFAULT x'',
  PRIMARY KEY(job_id, step, generation)) STRICT, WITHOUT ROWID;
)sql";

std::string bytes_of(const std::vector<double>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)};
}

void insert_step(Database& database, int version, const std::string& job_id, const StepRecord& record) {
  const std::string columns = "job_id, step, generation, digest, request, weight, log_alpha";
  const std::string request = record.request.SerializeAsString(), weight = bytes_of(record.weight);
  const std::string log_alpha = bytes_of(record.log_alpha_K), group_loss = bytes_of(record.group_loss_K);
  const std::int64_t step = record.request.step();
  if (version == 1) {
    Statement(database, "INSERT INTO steps(" + columns + ") VALUES (?, ?, 1, ?, ?, ?, ?)")
        .run(job_id, step, Blob{record.digest}, Blob{request}, Blob{weight}, Blob{log_alpha});
  } else {
    Statement(database, "INSERT INTO steps(" + columns + ", group_loss) VALUES (?, ?, 1, ?, ?, ?, ?, ?)")
        .run(job_id, step, Blob{record.digest}, Blob{request}, Blob{weight}, Blob{log_alpha}, Blob{group_loss});
  }
}

}  // namespace

std::string schema_sql(int version) {
  std::string sql = version < 3 ? kJobsOf2 : kJobsOf3;
  sql += kCommonTables;
  sql += version == 1 ? kStepsOf1 : kStepsOf2;
  return sql + "PRAGMA user_version = " + std::to_string(version) + ";";
}

void copy_to_earlier_schema(const std::filesystem::path& newest, const std::filesystem::path& earlier, int version,
                            const EarlierSteps& steps) {
  Database database(earlier);
  database.execute(schema_sql(version));
  database.execute("ATTACH '" + newest.string() + "' AS newest");
  const std::string columns = std::string("sequence, id, state, job") + (version < 3 ? "" : ", desired, checksum");
  database.execute("INSERT INTO jobs(" + columns + ") SELECT " + columns + " FROM newest.jobs");
  if (version == 3) {
    database.execute(
        "INSERT INTO attempts SELECT job_id, generation, state, start_step, start_checkpoint, token_hash, placement, "
        "hosts, cause, exit_code, started_at, ended_at FROM newest.attempts; INSERT INTO events "
        "SELECT job_id, revision, time, kind, text FROM newest.events");
  }
  database.execute(
      "INSERT INTO trainings(job_id, generation, request, response) "
      "SELECT job_id, generation, request, response FROM newest.trainings");
  for (const StepRecord& record : steps.records) insert_step(database, version, steps.job_id, record);
}

}  // namespace equipoise::coordinator
