#include "coordinator/store/deleted_jobs.h"

#include <utility>

namespace equipoise::coordinator {

// remains: kRowsAndLogs, kLogs, kNothing. The index has what is to be done alone.
const char* const kDeletedJobsTable = R"sql(
CREATE TABLE deleted_jobs(
  sequence INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  remains INTEGER NOT NULL,
  deleted_at INTEGER NOT NULL DEFAULT (unixepoch())) STRICT;
CREATE INDEX deleted_jobs_remains ON deleted_jobs(remains, sequence) WHERE remains > 0;
)sql";

namespace {

constexpr std::int64_t kNothing = 0, kLogs = 1;  // kRowsAndLogs is 2

// Tables with rows of jobs: all with a job_id but set_aside, which outlives its jobs, and tables put aside as damaged.
// Of each the columns of its key behind the job's id, and what says how many bytes a row has.
constexpr const char* kTablesOfJobs = R"sql(
SELECT t.name,
       ifnull(group_concat(c.name, ', ') FILTER (WHERE c.pk > 0 AND c.name != 'job_id'), ''),
       group_concat('ifnull(length(' || c.name || '), 0)', ' + ')
FROM sqlite_master t, pragma_table_info(t.name) c
WHERE t.type = 'table' AND t.name != 'set_aside' AND t.name NOT GLOB 'damaged_*'
  AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE name = 'job_id')
GROUP BY t.name ORDER BY t.name
)sql";

}  // namespace

DeletedJobs::DeletedJobs(Database& database)
    : database_(database),
      insert_(database,
              "INSERT INTO deleted_jobs(sequence, id, remains) SELECT sequence, id, 2 FROM jobs WHERE id = ?"),
      select_(database, "SELECT 1 FROM deleted_jobs WHERE id = ?"),
      next_with_rows_(database,
                      "SELECT sequence, id FROM deleted_jobs WHERE remains = 2 AND remains > 0 AND sequence > ? "
                      "ORDER BY sequence LIMIT 1"),
      next_with_logs_(database,
                      "SELECT sequence, id FROM deleted_jobs WHERE remains = 1 AND remains > 0 AND sequence > ? "
                      "ORDER BY sequence LIMIT 1"),
      set_remains_(database, "UPDATE deleted_jobs SET remains = ?2 WHERE sequence = ?1") {
  Statement select(database, kTablesOfJobs);
  for (select.begin(); select.next();) add_table(select.bytes(0), select.bytes(1), select.bytes(2));
}

// Both statements take rows in the order of the key.
void DeletedJobs::add_table(const std::string& name, const std::string& key, const std::string& bytes) {
  const std::string rows = " FROM " + name + " WHERE job_id = ?1";
  const std::string first = (key.empty() ? "" : " ORDER BY " + key) + " LIMIT ?2";
  const std::string among = key.empty() ? "?2 > 0" : "(" + key + ") IN (SELECT " + key + rows + first + ")";
  tables_.push_back({.select = Statement(database_, "SELECT " + bytes + rows + first),
                     .remove = Statement(database_, "DELETE" + rows + " AND " + among)});
}

void DeletedJobs::add(const std::string& id) { insert_.run(id); }

bool DeletedJobs::contains(const std::string& id) {
  try {
    select_.begin(id);
    const bool is_there = select_.next();
    select_.reset();
    return is_there;
  } catch (const StoreError& error) {
    if (error.cause() != StoreError::Cause::kDamaged) throw;
    return false;
  }
}

namespace {

std::optional<DeletedJob> first_of(Statement& select, std::int64_t after) {
  select.begin(after);
  if (!select.next()) return std::nullopt;
  DeletedJob job{.sequence = select.integer(0), .id = select.bytes(1)};
  select.reset();
  return job;
}

}  // namespace

std::optional<DeletedJob> DeletedJobs::next_with_rows(std::int64_t after) { return first_of(next_with_rows_, after); }

std::optional<DeletedJob> DeletedJobs::next_with_logs(std::int64_t after) { return first_of(next_with_logs_, after); }

DeletedPiece DeletedJobs::remove_rows(const DeletedJob& job, PieceLimit limit) {
  DeletedPiece piece;
  Transaction transaction(database_);
  for (Table& table : tables_) remove_rows_of(table, job.id, limit, piece);
  piece.is_last = piece.rows < limit.rows && piece.bytes < limit.bytes;
  if (piece.is_last) set_remains_.run(job.sequence, kLogs);
  transaction.commit();
  return piece;
}

// Up to the row that reaches a limit.
void DeletedJobs::remove_rows_of(Table& table, const std::string& id, PieceLimit limit, DeletedPiece& piece) {
  const auto has_room = [&] { return piece.rows < limit.rows && piece.bytes < limit.bytes; };
  if (!has_room()) return;
  std::int64_t rows = 0;
  table.select.begin(id, limit.rows - piece.rows);
  while (has_room() && table.select.next()) {
    piece.bytes += table.select.integer(0);
    ++piece.rows;
    ++rows;
  }
  table.select.reset();
  if (rows > 0) table.remove.run(id, rows);
}

void DeletedJobs::logs_are_gone(const DeletedJob& job) { set_remains_.run(job.sequence, kNothing); }

}  // namespace equipoise::coordinator
