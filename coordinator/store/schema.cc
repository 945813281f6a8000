#include "coordinator/store/schema.h"

#include <string>

namespace equipoise::coordinator {
namespace {

constexpr std::int64_t kSchemaVersion = 1;

// Messages are stored as Protobuf bytes; columns beside them are what queries need. Doubles are IEEE 754, little
// endian.
constexpr const char* kTables = R"sql(
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
CREATE TABLE steps(
  job_id TEXT NOT NULL,
  step INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  digest BLOB NOT NULL,
  request BLOB NOT NULL,
  weight BLOB NOT NULL,
  log_alpha BLOB NOT NULL,
  PRIMARY KEY(job_id, step, generation)) STRICT, WITHOUT ROWID;
CREATE TABLE signing_key(key BLOB NOT NULL) STRICT;
INSERT INTO signing_key VALUES (randomblob(32));
)sql";

std::int64_t schema_version(Database& database) {
  Statement version(database, "PRAGMA user_version");
  version.begin();
  version.next();
  return version.integer(0);
}

}  // namespace

Database with_schema(Database database) {
  const std::int64_t version = schema_version(database);
  if (version > kSchemaVersion) {
    throw std::invalid_argument(database.path().string() + " has schema " + std::to_string(version) +
                                ", expected at most " + std::to_string(kSchemaVersion) +
                                "; a newer equipoise-coordinator made it");
  }
  if (version == kSchemaVersion) return database;
  Transaction transaction(database);
  database.execute(kTables);
  database.execute("PRAGMA user_version = " + std::to_string(kSchemaVersion));
  transaction.commit();
  return database;
}

}  // namespace equipoise::coordinator
