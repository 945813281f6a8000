#include "tests/coordinator/support/earlier_schemas.h"

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

}  // namespace

std::string schema_sql(int version) { return std::string(kCommonTables) + (version == 1 ? kStepsOf1 : kStepsOf2); }

void copy_to_earlier_schema(const std::filesystem::path& newest, const std::filesystem::path& earlier, int version) {
  Database database(earlier);
  database.execute(schema_sql(version));
  database.execute("ATTACH '" + newest.string() + "' AS newest");
  const std::string steps = "job_id, step, generation, digest, request, weight, log_alpha";
  for (const std::string& columns :
       {std::string("jobs sequence, id, state, job"), std::string("trainings job_id, generation, request, response"),
        "steps " + steps + (version == 1 ? "" : ", group_loss")}) {
    const std::string table = columns.substr(0, columns.find(' ')), names = columns.substr(columns.find(' ') + 1);
    database.execute("INSERT INTO main." + table + "(" + names + ") SELECT " + names + " FROM newest." + table);
  }
}

}  // namespace equipoise::coordinator
