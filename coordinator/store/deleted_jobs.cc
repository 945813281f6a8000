#include "coordinator/store/deleted_jobs.h"

#include <map>
#include <string>

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

// Columns of the tables with rows of jobs, in the order of their keys: of all that have a job_id but set_aside, which
// outlives its jobs, and those put aside as damaged. Columns: table, column, its place in the key or 0.
constexpr const char* kColumnsOfTables = R"sql(
SELECT t.name, c.name, c.pk FROM sqlite_master t, pragma_table_info(t.name) c
WHERE t.type = 'table' AND t.name != 'set_aside' AND t.name NOT GLOB 'damaged_*'
  AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE name = 'job_id')
ORDER BY t.name, c.pk
)sql";

struct ColumnsOfTable {
  std::string key;    // "step, generation": behind the job's id
  std::string bytes;  // of a row, as SQL
};

std::map<std::string, ColumnsOfTable> tables_of_jobs(Database& database) {
  std::map<std::string, ColumnsOfTable> tables;
  Statement select(database, kColumnsOfTables);
  for (select.begin(); select.next();) {
    ColumnsOfTable& table = tables[select.bytes(0)];
    const std::string column = select.bytes(1);
    const bool is_key = select.integer(2) > 0 && column != "job_id";
    if (is_key) table.key.append(table.key.empty() ? "" : ", ").append(column);
    table.bytes.append(table.bytes.empty() ? "" : " + ").append("ifnull(length(").append(column).append("), 0)");
  }
  return tables;
}

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
  for (const auto& [name, table] : tables_of_jobs(database)) add_table(name, table.key, table.bytes);
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
