// What deleted jobs have left goes a piece at a time: everybody else is served between two pieces.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/job_table.h"
#include "coordinator/store/deleted_jobs.h"

namespace equipoise::coordinator {

struct CleanerSettings {
  std::filesystem::path logs = {};  // <logs>/<job>/...; empty: there are none
  PieceLimit piece;
};

// Needs no memory of its own: a new one on the same database goes on where the last was. Not thread-safe.
class JobCleaner {
 public:
  // Both outlive it.
  JobCleaner(CleanerSettings settings, JobTable& table, const AttemptSupervisor& attempts)
      : settings_(std::move(settings)), table_(table), attempts_(attempts) {}

  // One piece of rows, or nothing; and series of jobs that ended long ago. What the disk refuses is tried again after
  // 10 s; rows that cannot be read stay where they are.
  void tick();

  // Logs of a job whose processes and rows are gone, in this order. Files take their time: whoever removes them holds
  // no lock.
  struct Logs {
    DeletedJob job;
    std::filesystem::path folder;
  };
  std::optional<Logs> logs_to_remove();
  void logs_are_gone(const Logs& logs);
  // Not before the next start.
  void leave_logs(const Logs& logs, const std::string& why);

 private:
  template <typename Work>
  void try_now(const Work& work);
  void remove_piece();
  std::optional<DeletedJob> next_with_rows();
  std::optional<Logs> next_with_logs();

  const CleanerSettings settings_;
  JobTable& table_;
  const AttemptSupervisor& attempts_;
  std::set<std::int64_t> damaged_, left_;  // sequences whose rows, or logs, stay
  SteadyTime not_before_{};
};

}  // namespace equipoise::coordinator
