// The rows of table `jobs`: the checksum of each, and how as many as possible are read around damaged pages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/store/database.h"

namespace equipoise::coordinator {

// What people want of a job; stored before anything acts on it, and honoured when the coordinator starts again.
enum class DesiredState { kRun, kPause, kCancel };

std::string_view desired_name(DesiredState desired);  // RUN, PAUSE or CANCEL

struct JobRow {
  std::int64_t sequence = 0;
  std::string id;
  std::string state;
  std::string job;  // a v1::TrainingJob
  std::string desired = "RUN";
  std::string checksum = {};  // as it is stored: row_checksum() where nothing is damaged
  std::string damage = {};    // why only sequence and id could be read; empty where all could
};

// SHA-256, 32 bytes, over id, state, job and desired.
std::string row_checksum(const JobRow& row);

struct JobRows {
  std::vector<JobRow> rows;         // ascending sequence
  std::vector<std::string> unread;  // what may have been there: "rows 5 to 9 of table jobs"; empty mostly
};

enum class JobColumns { kOfSchema2, kNewest };  // kOfSchema2 has neither desired nor checksum: both are made

// Of a row whose page is damaged the index tells the id; where that is damaged, too, nothing but `unread` does. Not
// within a transaction, which SQLite ends when it meets damage. Throws StoreError, but not of kDamaged.
JobRows read_job_rows(Database& database, JobColumns columns);

// Table `jobs` made anew of `rows`, with what `create` says, within a transaction. The table as it was stays under the
// name that is returned, with whatever could not be read.
std::string replace_jobs_table(Database& database, const std::vector<JobRow>& rows, const std::string& create);

// Another name for `table`, which makes room for a new one and keeps every page as it is: "damaged_jobs_1".
std::string rename_aside(Database& database, const std::string& table);

}  // namespace equipoise::coordinator
