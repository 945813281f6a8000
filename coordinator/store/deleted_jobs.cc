#include "coordinator/store/deleted_jobs.h"

#include <array>
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

struct TableQueries {
  const char* select;  // two columns of the key and the bytes of each row, of a job, from the first on
  const char* remove;
};

constexpr std::array kTablesOfJobs = {
    TableQueries{"SELECT step, generation, length(digest) + length(request) + length(weight) + length(log_alpha) + "
                 "length(group_loss) FROM steps WHERE job_id = ? ORDER BY step, generation LIMIT ?",
                 "DELETE FROM steps WHERE job_id = ? AND step = ? AND generation = ?"},
    TableQueries{"SELECT generation, 0, length(request) + length(response) FROM trainings WHERE job_id = ? "
                 "ORDER BY generation LIMIT ?",
                 "DELETE FROM trainings WHERE job_id = ?1 AND generation = ?2 AND ?3 = 0"},
};

struct RowKey {
  std::int64_t first, second;
};

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
  for (const TableQueries& queries : kTablesOfJobs) {
    tables_.push_back({.select = Statement(database, queries.select), .remove = Statement(database, queries.remove)});
  }
}

void DeletedJobs::add(const std::string& id) { insert_.run(id); }

bool DeletedJobs::contains(const std::string& id) {
  select_.begin(id);
  const bool is_there = select_.next();
  select_.reset();
  return is_there;
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
  std::vector<RowKey> keys;
  const auto has_room = [&] { return piece.rows < limit.rows && piece.bytes < limit.bytes; };
  if (!has_room()) return;
  table.select.begin(id, limit.rows - piece.rows);
  while (has_room() && table.select.next()) {
    keys.push_back({.first = table.select.integer(0), .second = table.select.integer(1)});
    piece.bytes += table.select.integer(2);
    ++piece.rows;
  }
  table.select.reset();
  for (const RowKey& key : keys) table.remove.run(id, key.first, key.second);
}

void DeletedJobs::logs_are_gone(const DeletedJob& job) { set_remains_.run(job.sequence, kNothing); }

}  // namespace equipoise::coordinator
