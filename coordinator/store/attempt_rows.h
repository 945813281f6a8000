// Attempts, what each of them trains on, and checkpoints, as they are stored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/store/database.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// One generation of a job's ranks. Times are unix seconds, 0 where not yet.
struct StoredAttempt {
  std::int64_t generation = 0;
  std::optional<std::int64_t> start_step = {};  // none until training has started
  std::string start_checkpoint = {};            // empty: from the beginning
  std::string token_hash = {};                  // SHA-256, or empty
  std::string state = {};
  std::string cause = {};  // of its end
  std::optional<int> exit_code = {};
  std::int64_t started_at = 0;
  std::int64_t ended_at = 0;
  std::string launcher = {};  // who starts its ranks, for people: "mpirun --hostfile /etc/hosts", "user"
  std::string hosts = {};     // for people, too
  // Its hosts with their slots, as a hostfile, which whoever takes it over needs. None of a program before schema 10.
  std::optional<std::string> placement = {};
  std::optional<v1::AttemptFailure> failure = {};
};

struct StoredCheckpoint {
  std::int64_t step = 0, generation = 0;
  std::string folder = {};
  std::string manifest_digest = {};
  std::int64_t bytes = 0;
  std::string state = "COMMITTED";  // or DELETED
  std::int64_t created_at = 0;      // unix seconds; 0: now
};

// The last that a rank has said of itself.
struct FinishedRank {
  int rank = 0;
  std::int64_t step = 0;           // steps done
  std::string digest = {};         // of the trained parameters; empty: it has left with a checkpoint
  std::string stopped_early = {};  // a serialized EarlyStop, or empty
  std::string ledger_chain = {};   // of rank 0, or empty
};

struct StoredTraining {
  v1::StartTrainingRequest request;
  v1::StartTrainingResponse response;
};

// Part of JobStore, and described there. What begins, ends or starts does so within a transaction of the caller's.
class AttemptRows {
 public:
  explicit AttemptRows(Database& database);

  void begin(const std::string& job_id, const StoredAttempt& attempt);
  void end(const std::string& job_id, const StoredAttempt& attempt);
  void start(const v1::TrainingJob& job, const StoredTraining& training, const std::string& start_checkpoint);
  void keep_line(const StoredTraining& training);
  void set_failure(const std::string& job_id, const v1::AttemptFailure& failure);
  void set_launcher(const std::string& job_id, std::int64_t generation, const std::string& launcher);
  std::vector<StoredAttempt> attempts(const std::string& job_id);

  void finish_rank(const std::string& job_id, std::int64_t generation, const FinishedRank& rank);
  std::vector<FinishedRank> finished_ranks(const std::string& job_id, std::int64_t generation);

  void commit_checkpoint(const std::string& job_id, const StoredCheckpoint& checkpoint);
  // generation: nullopt for all
  void mark_deleted(const std::string& job_id, std::int64_t step, std::optional<std::int64_t> generation);
  std::vector<StoredCheckpoint> checkpoints(const std::string& job_id);
  std::vector<StoredCheckpoint> kept_checkpoints(const std::string& job_id, int most);

  std::optional<StoredTraining> training(const std::string& job_id, std::int64_t generation);
  std::optional<StoredTraining> newest_training(const std::string& job_id);
  std::vector<std::int64_t> generations(const std::string& job_id);
  std::vector<std::int64_t> trained_generations(const std::string& job_id);

 private:
  Database& database_;
  Statement insert_attempt_, end_attempt_, set_start_, set_launcher_, set_failure_, select_attempts_;
  Statement insert_finished_, select_finished_;
  Statement insert_checkpoint_, delete_checkpoint_, select_checkpoints_, select_kept_;
  Statement delete_later_, commit_start_;
  Statement select_training_, select_newest_training_, insert_training_, select_generations_, select_trained_;
};

}  // namespace equipoise::coordinator
