#include "coordinator/store/schema.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/store/deleted_jobs.h"
#include "coordinator/store/job_rows.h"

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

constexpr const char* kJobs = R"sql(
CREATE TABLE jobs(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  job BLOB NOT NULL,
  desired TEXT NOT NULL,
  checksum BLOB NOT NULL) STRICT
)sql";

// start_step: NULL until training has started. token_hash: SHA-256, or empty. Times are unix seconds, 0 where not yet.
constexpr const char* kLineage = R"sql(
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
CREATE TABLE IF NOT EXISTS set_aside(
  job_id TEXT PRIMARY KEY,
  why TEXT NOT NULL,
  job BLOB NOT NULL,
  created_at INTEGER NOT NULL DEFAULT (unixepoch())) STRICT, WITHOUT ROWID;
)sql";

// A step has its report as coordinator/weights/report_format.h says where result_digest is not empty, and then neither
// weight nor log_alpha nor group_loss: they follow from the newest state before it.
constexpr const char* kCompactSteps = R"sql(
ALTER TABLE steps ADD COLUMN result_digest BLOB NOT NULL DEFAULT x'';
CREATE TABLE weight_states(
  job_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  steps INTEGER NOT NULL,
  state BLOB NOT NULL,
  PRIMARY KEY(job_id, steps, generation)) STRICT, WITHOUT ROWID;
CREATE TABLE histories(
  job_id TEXT PRIMARY KEY,
  bytes INTEGER NOT NULL DEFAULT 0,
  thinned_end INTEGER NOT NULL DEFAULT 0,
  spacing INTEGER NOT NULL DEFAULT 1,
  next_step INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
)sql";

// An AttemptFailure each.
constexpr const char* kAttemptFailures = R"sql(
CREATE TABLE attempt_failures(
  job_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  failure BLOB NOT NULL,
  PRIMARY KEY(job_id, generation)) STRICT, WITHOUT ROWID
)sql";

// What ranks have said at their end, which none of them says again. digest: of the trained parameters; empty: the rank
// has left with a checkpoint. stopped_early: an EarlyStop, or empty. ledger_chain: as rank 0 said, or empty.
constexpr const char* kFinishedRanks = R"sql(
CREATE TABLE finished_ranks(
  job_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  step INTEGER NOT NULL,
  digest BLOB NOT NULL,
  stopped_early BLOB NOT NULL,
  ledger_chain BLOB NOT NULL,
  PRIMARY KEY(job_id, generation, rank)) STRICT, WITHOUT ROWID
)sql";

// Of events that are there already it is not known.
constexpr const char* kEventGenerations = "ALTER TABLE events ADD COLUMN generation INTEGER NOT NULL DEFAULT 0";

constexpr const char* kHostCordons = R"sql(
CREATE TABLE host_cordons(
  host TEXT PRIMARY KEY,
  cause TEXT NOT NULL,
  reason TEXT NOT NULL,
  since INTEGER NOT NULL) STRICT, WITHOUT ROWID
)sql";

// Programs of schema 7, and the first of schema 8, made finished_ranks without it.
void add_ledger_chain(Database& database) {
  Statement select(database, "SELECT 1 FROM pragma_table_info('finished_ranks') WHERE name = 'ledger_chain'");
  select.begin();
  const bool is_there = select.next();
  select.reset();
  if (!is_there) database.execute("ALTER TABLE finished_ranks ADD COLUMN ledger_chain BLOB NOT NULL DEFAULT x''");
}

// NULL: of an earlier program, which had it in column `launcher`.
constexpr const char* kColumnsOf10 = R"sql(
ALTER TABLE attempts ADD COLUMN placement TEXT;
ALTER TABLE host_cordons ADD COLUMN processes TEXT NOT NULL DEFAULT '';
)sql";

struct TrainingKey {
  std::string job_id;
  std::int64_t generation;
};

// What a migration reads beforehand, as SQLite ends a transaction that meets a damaged page.
struct EarlierRows {
  JobRows jobs;
  std::vector<TrainingKey> trainings;
};

void read_trainings(Database& database, const std::string& job_id, std::vector<TrainingKey>& trainings) {
  try {
    Statement select(database, "SELECT generation FROM trainings WHERE job_id = ?");
    for (select.begin(job_id); select.next();) {
      trainings.push_back({.job_id = job_id, .generation = select.integer(0)});
    }
  } catch (const StoreError& error) {  // the job will be set aside
    if (error.cause() != StoreError::Cause::kDamaged) throw;
  }
}

EarlierRows earlier_rows(Database& database, std::int64_t version) {
  EarlierRows earlier;
  if (version == 0 || version >= 3) return earlier;
  earlier.jobs = read_job_rows(database, JobColumns::kOfSchema2);
  for (const JobRow& row : earlier.jobs.rows) read_trainings(database, row.id, earlier.trainings);
  return earlier;
}

bool is_damaged(const JobRows& jobs) {
  return !jobs.unread.empty() || std::ranges::any_of(jobs.rows, [](const JobRow& row) { return !row.damage.empty(); });
}

// Every attempt so far began at step 0, and has ended: nothing could be taken up again.
void add_lineage(Database& database, const EarlierRows& earlier) {
  database.execute(kLineage);
  const std::string jobs_before = replace_jobs_table(database, earlier.jobs.rows, kJobs);
  if (!is_damaged(earlier.jobs)) database.execute("DROP TABLE " + jobs_before);
  Statement insert(database, "INSERT INTO attempts(job_id, generation, state, start_step) VALUES (?, ?, 'ENDED', 0)");
  for (const TrainingKey& training : earlier.trainings) insert.run(training.job_id, training.generation);
}

// What leads from each version to the next; a new database goes through all of it.
void migrate(Database& database, std::int64_t from, const EarlierRows& earlier) {
  switch (from) {
    case 0:
      return database.execute(kFirstTables);
    case 1:
      return database.execute(kGroupLosses);
    case 2:
      return add_lineage(database, earlier);
    case 3:
      return database.execute(kCompactSteps);
    case 4:
      return database.execute(kDeletedJobsTable);
    case 5:
      return database.execute(kAttemptFailures);
    case 6:
      return database.execute(kFinishedRanks);
    case 7:
      return database.execute(kEventGenerations);
    case 8:
      return database.execute(kHostCordons);
    case 9:
      add_ledger_chain(database);
      return database.execute(kColumnsOf10);
    default:
      throw std::logic_error("no step leads on from schema " + std::to_string(from));
  }
}

constexpr std::int64_t kSchemaVersion = 10;

std::int64_t schema_version(Database& database) {
  Statement version(database, "PRAGMA user_version");
  version.begin();
  version.next();
  return version.integer(0);
}

void check_not_newer(const Database& database, std::int64_t version) {
  if (version <= kSchemaVersion) return;
  throw std::invalid_argument(database.path().string() + " has schema " + std::to_string(version) +
                              ", expected at most " + std::to_string(kSchemaVersion) +
                              "; a newer equipoise-coordinator made it");
}

}  // namespace

Database with_newest_schema(Database database) {
  const std::int64_t version = schema_version(database);
  check_not_newer(database, version);
  if (version == kSchemaVersion) return database;
  throw std::invalid_argument(database.path().string() + " has schema " + std::to_string(version) + ", expected " +
                              std::to_string(kSchemaVersion) +
                              "; a coordinator that starts on it brings it up to date");
}

Database with_schema(Database database) {
  const std::int64_t version = schema_version(database);
  check_not_newer(database, version);
  if (version == kSchemaVersion) return database;
  const EarlierRows earlier = earlier_rows(database, version);
  Transaction transaction(database);
  for (std::int64_t from = version; from < kSchemaVersion; ++from) migrate(database, from, earlier);
  database.execute("PRAGMA user_version = " + std::to_string(kSchemaVersion));
  transaction.commit();
  return database;
}

}  // namespace equipoise::coordinator
