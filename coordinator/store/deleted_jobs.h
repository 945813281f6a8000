// Jobs that are deleted, for good, and what is left of them: rows and logs, which go a piece at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/store/database.h"

namespace equipoise::coordinator {

// A job that people do not see any more.
struct DeletedJob {
  std::int64_t sequence = 0;  // of the job
  std::string id;
};

// Of rows that go in one transaction, while nobody else is served: 500 steps of two groups, or 4 MiB, take some
// milliseconds. A single row may have more bytes.
struct PieceLimit {
  std::int64_t rows = 500;
  std::int64_t bytes = std::int64_t{4} << 20;
};

struct DeletedPiece {
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
  bool is_last = false;  // nothing of the job is left but its logs
};

// Table deleted_jobs: a row for every job that was ever deleted (some 60 bytes), so that none has its id again. A row's
// `remains` says what is left. Rows of a job that reads as damaged stay in the file. All throw StoreError, and have
// then changed nothing. Not thread-safe.
class DeletedJobs {
 public:
  // `database` has schema 4 and outlives it.
  explicit DeletedJobs(Database& database);

  // Within a transaction of the caller, beside the removal from `jobs`. Nothing where there is no such job.
  void add(const std::string& id);
  // False where that cannot be read: ids are random, and a damaged page keeps nobody from making jobs.
  bool contains(const std::string& id);

  // The first deleted job of a higher sequence than `after` of which rows are left, or whose rows are gone and whose
  // logs may be left.
  std::optional<DeletedJob> next_with_rows(std::int64_t after);
  std::optional<DeletedJob> next_with_logs(std::int64_t after);

  // One transaction each.
  DeletedPiece remove_rows(const DeletedJob& job, PieceLimit limit);
  void logs_are_gone(const DeletedJob& job);

 private:
  // Of one table the bytes of each of a job's first rows, and their removal.
  struct Table {
    Statement select, remove;
  };
  void add_table(const std::string& name, const std::string& key, const std::string& bytes);
  void remove_rows_of(Table& table, const std::string& id, PieceLimit limit, DeletedPiece& piece);

  Database& database_;
  Statement insert_, select_, next_with_rows_, next_with_logs_, set_remains_;
  std::vector<Table> tables_;
};

// Statements that lead to schema 4.
extern const char* const kDeletedJobsTable;

}  // namespace equipoise::coordinator
