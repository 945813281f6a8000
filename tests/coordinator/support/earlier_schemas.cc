#include "tests/coordinator/support/earlier_schemas.h"

#include <cstdint>

#include "coordinator/store/database.h"

namespace equipoise::coordinator {
namespace {

constexpr const char* kCommonTables = R"sql(
CREATE TABLE jobs(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  job BLOB NOT NULL) STRICT;
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
PRAGMA user_version = 1;
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
PRAGMA user_version = 2;
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

std::string schema_sql(int version) { return std::string(kCommonTables) + (version == 1 ? kStepsOf1 : kStepsOf2); }

void copy_to_earlier_schema(const std::filesystem::path& newest, const std::filesystem::path& earlier, int version,
                            const EarlierSteps& steps) {
  Database database(earlier);
  database.execute(schema_sql(version));
  database.execute("ATTACH '" + newest.string() + "' AS newest");
  database.execute("INSERT INTO jobs(sequence, id, state, job) SELECT sequence, id, state, job FROM newest.jobs");
  database.execute(
      "INSERT INTO trainings(job_id, generation, request, response) "
      "SELECT job_id, generation, request, response FROM newest.trainings");
  for (const StepRecord& record : steps.records) insert_step(database, version, steps.job_id, record);
}

}  // namespace equipoise::coordinator
