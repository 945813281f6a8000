#include "coordinator/store/schema.h"

#include <array>
#include <stdexcept>
#include <string>

namespace equipoise::coordinator {
namespace {

// Messages are stored as Protobuf bytes; columns beside them are what queries need. Doubles are IEEE 754, little
// endian.
constexpr const char* kFirstTables = R"sql(
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

// Every step that is there is of a job without a closed form: it has no losses.
constexpr const char* kGroupLosses = "ALTER TABLE steps ADD COLUMN group_loss BLOB NOT NULL DEFAULT x''";

// The statements that lead from each version to the next; a new database goes through all of them.
constexpr std::array kMigrations = {kFirstTables, kGroupLosses};
constexpr std::int64_t kSchemaVersion = kMigrations.size();

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
  for (std::int64_t from = version; from < kSchemaVersion; ++from) {
    database.execute(kMigrations[static_cast<std::size_t>(from)]);
  }
  database.execute("PRAGMA user_version = " + std::to_string(kSchemaVersion));
  transaction.commit();
  return database;
}

}  // namespace equipoise::coordinator
