#include "coordinator/store/attempt_rows.h"

#include "common/protocol/job_state.h"
#include "coordinator/store/row_reading.h"

namespace equipoise::coordinator {
namespace {

std::optional<StoredTraining> first_training(const Database& database, Statement& row) {
  const ResetAtEnd reset(row);
  if (!row.next()) return std::nullopt;
  return StoredTraining{.request = message_of<v1::StartTrainingRequest>(database, row.bytes(0), "a training"),
                        .response = message_of<v1::StartTrainingResponse>(database, row.bytes(1), "a training")};
}

StoredCheckpoint checkpoint_of(const Statement& row) {
  return {.step = row.integer(0),
          .generation = row.integer(1),
          .folder = row.bytes(2),
          .manifest_digest = row.bytes(3),
          .bytes = row.integer(4),
          .state = row.bytes(5),
          .created_at = row.integer(6)};
}

// Nothing depends on it: one that cannot be read is none.
std::optional<v1::AttemptFailure> failure_of(const std::string& bytes) {
  v1::AttemptFailure failure;
  const bool is_there = !bytes.empty() && failure.ParseFromString(bytes);
  return is_there ? std::optional(std::move(failure)) : std::nullopt;
}

std::vector<std::int64_t> numbers_of(Statement& select, const std::string& job_id) {
  std::vector<std::int64_t> numbers;
  const ResetAtEnd reset(select);
  for (select.begin(job_id); select.next();) numbers.push_back(select.integer(0));
  return numbers;
}

}  // namespace

AttemptRows::AttemptRows(Database& database)
    : database_(database),
      insert_attempt_(database_,
                      "INSERT INTO attempts(job_id, generation, state, start_step, start_checkpoint, token_hash, "
                      "launcher, hosts, cause, exit_code, started_at, ended_at, placement) "
                      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
      end_attempt_(database_,
                   "INSERT INTO attempts(job_id, generation, state, cause, exit_code, started_at, ended_at, launcher, "
                   "hosts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state, "
                   "cause = excluded.cause, exit_code = excluded.exit_code, ended_at = excluded.ended_at, "
                   "launcher = iif(excluded.launcher = '', launcher, excluded.launcher), "
                   "hosts = iif(excluded.hosts = '', hosts, excluded.hosts)"),
      set_start_(database_,
                 "INSERT INTO attempts(job_id, generation, state, start_step, start_checkpoint) VALUES (?, ?, ?, ?, ?) "
                 "ON CONFLICT DO UPDATE SET state = excluded.state, start_step = excluded.start_step, "
                 "start_checkpoint = excluded.start_checkpoint"),
      set_launcher_(database_, "UPDATE attempts SET launcher = ?3 WHERE job_id = ?1 AND generation = ?2"),
      set_failure_(database_, "INSERT OR REPLACE INTO attempt_failures(job_id, generation, failure) VALUES (?, ?, ?)"),
      select_attempts_(database_,
                       "SELECT generation, state, start_step, start_checkpoint, token_hash, launcher, hosts, cause, "
                       "exit_code, started_at, ended_at, failure, placement FROM attempts LEFT JOIN attempt_failures "
                       "USING (job_id, generation) WHERE job_id = ? ORDER BY generation"),
      insert_finished_(database_,
                       "INSERT OR REPLACE INTO finished_ranks(job_id, generation, rank, step, digest, stopped_early, "
                       "ledger_chain) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?)"),
      select_finished_(database_,
                       "SELECT rank, step, digest, stopped_early, ledger_chain FROM finished_ranks "
                       "WHERE job_id = ? AND generation = ? ORDER BY rank"),
      insert_checkpoint_(database_,
                         "INSERT OR REPLACE INTO checkpoints(job_id, step, generation, folder, manifest_digest, bytes, "
                         "state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, iif(?8 = 0, unixepoch(), ?8))"),
      delete_checkpoint_(database_,
                         "UPDATE checkpoints SET state = 'DELETED' "
                         "WHERE job_id = ? AND step = ? AND (?3 IS NULL OR generation = ?3)"),
      select_checkpoints_(database_,
                          "SELECT step, generation, folder, manifest_digest, bytes, state, created_at FROM checkpoints "
                          "WHERE job_id = ? ORDER BY step, generation"),
      select_kept_(database_,
                   "SELECT step, generation, folder, manifest_digest, bytes, state, created_at FROM checkpoints "
                   "WHERE job_id = ? AND state <> 'DELETED' ORDER BY step DESC, generation DESC LIMIT ?"),
      delete_later_(database_, "UPDATE checkpoints SET state = 'DELETED' WHERE job_id = ? AND step > ?"),
      commit_start_(database_,
                    "INSERT INTO checkpoints(job_id, step, generation, folder, manifest_digest, bytes, state, "
                    "created_at) VALUES (?, ?, ?, '', ?, 0, 'COMMITTED', unixepoch()) "
                    "ON CONFLICT DO UPDATE SET state = 'COMMITTED', manifest_digest = excluded.manifest_digest "
                    "WHERE state <> 'COMMITTED'"),
      select_training_(database_, "SELECT request, response FROM trainings WHERE job_id = ? AND generation = ?"),
      select_newest_training_(
          database_, "SELECT request, response FROM trainings WHERE job_id = ? ORDER BY generation DESC LIMIT 1"),
      insert_training_(database_, "INSERT INTO trainings(job_id, generation, request, response) VALUES (?, ?, ?, ?)"),
      select_generations_(database_,
                          "SELECT generation FROM trainings WHERE job_id = ?1 "
                          "UNION SELECT generation FROM steps WHERE job_id = ?1 ORDER BY generation"),
      select_trained_(database_, "SELECT generation FROM trainings WHERE job_id = ? ORDER BY generation") {}

void AttemptRows::begin(const std::string& job_id, const StoredAttempt& attempt) {
  insert_attempt_.run(job_id, attempt.generation, attempt.state, attempt.start_step, attempt.start_checkpoint,
                      Blob{attempt.token_hash}, attempt.launcher, attempt.hosts, attempt.cause,
                      std::optional<std::int64_t>(attempt.exit_code), attempt.started_at, attempt.ended_at,
                      attempt.placement.value_or(""));
}

void AttemptRows::end(const std::string& job_id, const StoredAttempt& attempt) {
  end_attempt_.run(job_id, attempt.generation, attempt.state, attempt.cause,
                   std::optional<std::int64_t>(attempt.exit_code), attempt.started_at, attempt.ended_at,
                   attempt.launcher, attempt.hosts);
  if (attempt.failure) set_failure(job_id, *attempt.failure);
}

void AttemptRows::set_failure(const std::string& job_id, const v1::AttemptFailure& failure) {
  set_failure_.run(job_id, std::int64_t{failure.generation()}, Blob{failure.SerializeAsString()});
}

void AttemptRows::start(const v1::TrainingJob& job, const StoredTraining& training,
                        const std::string& start_checkpoint) {
  insert_training_.run(job.id(), job.generation(), Blob{training.request.SerializeAsString()},
                       Blob{training.response.SerializeAsString()});
  set_start_.run(job.id(), job.generation(), state_name(job.state()),
                 std::int64_t{training.response.plan().first_step()}, start_checkpoint);
}

void AttemptRows::keep_line(const StoredTraining& training) {
  const v1::StartTrainingRequest& request = training.request;
  const v1::ResumePoint& resume = request.resume();
  delete_later_.run(request.job_id(), std::int64_t{training.response.plan().first_step()});
  if (!request.has_resume() || resume.job_id() != request.job_id()) return;
  commit_start_.run(request.job_id(), std::int64_t{resume.weights().steps()}, std::int64_t{resume.generation()},
                    Blob{resume.manifest_digest()});
}

void AttemptRows::set_launcher(const std::string& job_id, std::int64_t generation, const std::string& launcher) {
  set_launcher_.run(job_id, generation, launcher);
}

std::vector<StoredAttempt> AttemptRows::attempts(const std::string& job_id) {
  std::vector<StoredAttempt> attempts;
  const ResetAtEnd reset(select_attempts_);
  const Statement& row = select_attempts_;
  for (select_attempts_.begin(job_id); select_attempts_.next();) {
    const auto exit_code = row.optional_integer(8);
    attempts.push_back({.generation = row.integer(0),
                        .start_step = row.optional_integer(2),
                        .start_checkpoint = row.bytes(3),
                        .token_hash = row.bytes(4),
                        .state = row.bytes(1),
                        .cause = row.bytes(7),
                        .exit_code = exit_code ? std::optional<int>(static_cast<int>(*exit_code)) : std::nullopt,
                        .started_at = row.integer(9),
                        .ended_at = row.integer(10),
                        .launcher = row.bytes(5),
                        .hosts = row.bytes(6),
                        .placement = row.optional_bytes(12),
                        .failure = failure_of(row.bytes(11))});
  }
  return attempts;
}

void AttemptRows::finish_rank(const std::string& job_id, std::int64_t generation, const FinishedRank& rank) {
  insert_finished_.run(job_id, generation, std::int64_t{rank.rank}, rank.step, Blob{rank.digest},
                       Blob{rank.stopped_early}, Blob{rank.ledger_chain});
}

std::vector<FinishedRank> AttemptRows::finished_ranks(const std::string& job_id, std::int64_t generation) {
  std::vector<FinishedRank> ranks;
  const ResetAtEnd reset(select_finished_);
  const Statement& row = select_finished_;
  for (select_finished_.begin(job_id, generation); select_finished_.next();) {
    ranks.push_back({.rank = static_cast<int>(row.integer(0)),
                     .step = row.integer(1),
                     .digest = row.bytes(2),
                     .stopped_early = row.bytes(3),
                     .ledger_chain = row.bytes(4)});
  }
  return ranks;
}

void AttemptRows::commit_checkpoint(const std::string& job_id, const StoredCheckpoint& checkpoint) {
  insert_checkpoint_.run(job_id, checkpoint.step, checkpoint.generation, checkpoint.folder,
                         Blob{checkpoint.manifest_digest}, checkpoint.bytes, checkpoint.state, checkpoint.created_at);
}

void AttemptRows::mark_deleted(const std::string& job_id, std::int64_t step, std::optional<std::int64_t> generation) {
  delete_checkpoint_.run(job_id, step, generation);
}

std::vector<StoredCheckpoint> AttemptRows::checkpoints(const std::string& job_id) {
  std::vector<StoredCheckpoint> checkpoints;
  const ResetAtEnd reset(select_checkpoints_);
  for (select_checkpoints_.begin(job_id); select_checkpoints_.next();) {
    checkpoints.push_back(checkpoint_of(select_checkpoints_));
  }
  return checkpoints;
}

std::vector<StoredCheckpoint> AttemptRows::kept_checkpoints(const std::string& job_id, int most) {
  std::vector<StoredCheckpoint> checkpoints;
  const ResetAtEnd reset(select_kept_);
  for (select_kept_.begin(job_id, std::int64_t{most}); select_kept_.next();) {
    checkpoints.push_back(checkpoint_of(select_kept_));
  }
  return checkpoints;
}

std::optional<StoredTraining> AttemptRows::training(const std::string& job_id, std::int64_t generation) {
  select_training_.begin(job_id, generation);
  return first_training(database_, select_training_);
}

std::optional<StoredTraining> AttemptRows::newest_training(const std::string& job_id) {
  select_newest_training_.begin(job_id);
  return first_training(database_, select_newest_training_);
}

std::vector<std::int64_t> AttemptRows::generations(const std::string& job_id) {
  return numbers_of(select_generations_, job_id);
}

std::vector<std::int64_t> AttemptRows::trained_generations(const std::string& job_id) {
  return numbers_of(select_trained_, job_id);
}

}  // namespace equipoise::coordinator
