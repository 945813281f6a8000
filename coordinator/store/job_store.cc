#include "coordinator/store/job_store.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/base/message_text.h"
#include "common/protocol/job_state.h"
#include "coordinator/store/free_pages.h"

namespace equipoise::coordinator {
namespace {

static_assert(std::endian::native == std::endian::little, "vectors are stored as they lie in memory");

Blob blob_of(const std::vector<double>& values) {
  return {std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double))};
}

[[noreturn]] void fail_damaged(const Database& database, const std::string& what) {
  throw StoreError(StoreError::Cause::kDamaged, database.path().string() + ": " + what + " is damaged");
}

std::vector<double> doubles_of(const Database& database, const std::string& bytes) {
  if (bytes.size() % sizeof(double) != 0) fail_damaged(database, "a vector of a step");
  std::vector<double> values(bytes.size() / sizeof(double));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

template <typename Message>
Message message_of(const Database& database, const std::string& bytes, const char* what) {
  Message message;
  if (!message.ParseFromString(bytes)) fail_damaged(database, what);
  return message;
}

// Columns: request, digest, weight, log_alpha, group_loss.
StepRecord step_of(const Database& database, const Statement& row) {
  return {.request = message_of<v1::ReportStepRequest>(database, row.bytes(0), "a step"),
          .digest = row.bytes(1),
          .weight = doubles_of(database, row.bytes(2)),
          .log_alpha_K = doubles_of(database, row.bytes(3)),
          .group_loss_K = doubles_of(database, row.bytes(4))};
}

// Ends the reading of a row that turns out to be damaged, too.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  Statement& statement_;
};

std::optional<StepRecord> first_step(const Database& database, Statement& row) {
  const ResetAtEnd reset(row);
  if (!row.next()) return std::nullopt;
  return step_of(database, row);
}

std::optional<StoredTraining> first_training(const Database& database, Statement& row) {
  const ResetAtEnd reset(row);
  if (!row.next()) return std::nullopt;
  return StoredTraining{.request = message_of<v1::StartTrainingRequest>(database, row.bytes(0), "a training"),
                        .response = message_of<v1::StartTrainingResponse>(database, row.bytes(1), "a training")};
}

// Columns: sequence, id, job.
StoredJob job_of(const Statement& row) {
  StoredJob stored{.sequence = row.integer(0), .job = {}};
  const std::string id = row.bytes(1);
  if (!stored.job.ParseFromString(row.bytes(2))) {
    stored.damage = "its record cannot be read";
  } else if (stored.job.id() != id) {
    stored.damage = "its record is that of job " + quoted_text(stored.job.id());
  }
  if (stored.damage.empty()) return stored;
  stored.job.Clear();
  stored.job.set_id(id);
  return stored;
}

std::size_t size_of(const StepRecord& record) {
  return record.request.ByteSizeLong() + (record.log_alpha_K.size() + record.group_loss_K.size()) * sizeof(double);
}

}  // namespace

JobStore::JobStore(const std::filesystem::path& file, Access access)
    : database_(access == Access::kReadOnly ? with_newest_schema(Database(file, access)) : with_schema(Database(file))),
      deleted_(database_),
      select_jobs_(database_, "SELECT sequence, id, job FROM jobs ORDER BY sequence"),
      insert_job_(database_, "INSERT INTO jobs(id, state, job) VALUES (?, ?, ?) RETURNING sequence"),
      update_job_(database_, "UPDATE jobs SET state = ?2, job = ?3 WHERE id = ?1"),
      delete_job_(database_, "DELETE FROM jobs WHERE id = ?"),
      select_request_(database_, "SELECT digest, answer FROM requests WHERE request_id = ?"),
      insert_request_(database_, "INSERT INTO requests(request_id, digest, answer) VALUES (?, ?, ?)"),
      delete_old_requests_(database_, "DELETE FROM requests WHERE created_at < unixepoch() - 30 * 86400"),
      delete_excess_requests_(database_,
                              "DELETE FROM requests WHERE request_id IN "
                              "(SELECT request_id FROM requests ORDER BY created_at DESC LIMIT -1 OFFSET ?)"),
      select_training_(database_, "SELECT request, response FROM trainings WHERE job_id = ? AND generation = ?"),
      select_newest_training_(
          database_, "SELECT request, response FROM trainings WHERE job_id = ? ORDER BY generation DESC LIMIT 1"),
      insert_training_(database_, "INSERT INTO trainings(job_id, generation, request, response) VALUES (?, ?, ?, ?)"),
      select_generations_(database_,
                          "SELECT generation FROM trainings WHERE job_id = ?1 "
                          "UNION SELECT generation FROM steps WHERE job_id = ?1 ORDER BY generation"),
      insert_step_(database_,
                   "INSERT INTO steps(job_id, generation, step, request, digest, weight, log_alpha, group_loss) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
      select_step_(database_,
                   "SELECT request, digest, weight, log_alpha, group_loss FROM steps "
                   "WHERE job_id = ? AND generation = ? AND step = ?"),
      select_step_range_(database_,
                         "SELECT min(step), max(step), count(*) FROM steps WHERE job_id = ? AND generation = ?"),
      select_last_step_(database_,
                        "SELECT request, digest, weight, log_alpha, group_loss FROM steps "
                        "WHERE job_id = ? AND generation = ? ORDER BY step DESC LIMIT 1"),
      // With max() SQLite takes the other columns from the row that has it.
      select_steps_(database_,
                    "SELECT request, digest, weight, log_alpha, group_loss, max(generation) FROM steps "
                    "WHERE job_id = ? AND step >= ? GROUP BY step ORDER BY step LIMIT ?"),
      select_key_(database_, "SELECT key FROM signing_key") {
  if (access == Access::kReadOnly) return;
  database_.execute("DELETE FROM requests WHERE created_at < unixepoch() - 30 * 86400");
}

std::vector<StoredJob> JobStore::jobs() {
  std::vector<StoredJob> jobs;
  const ResetAtEnd reset(select_jobs_);
  for (select_jobs_.begin(); select_jobs_.next();) jobs.push_back(job_of(select_jobs_));
  return jobs;
}

std::int64_t JobStore::insert_job(const v1::TrainingJob& job, const std::optional<AnsweredRequest>& request) {
  Transaction transaction(database_);
  insert_job_.begin(job.id(), state_name(job.state()), Blob{job.SerializeAsString()});
  insert_job_.next();
  const std::int64_t sequence = insert_job_.integer(0);
  insert_job_.reset();
  if (request) {
    prune_requests();
    insert_request_.run(request->request_id, Blob{request->digest}, Blob{request->answer.SerializeAsString()});
  }
  transaction.commit();
  return sequence;
}

// Both look at every row, which is too much for each new job.
void JobStore::prune_requests() {
  constexpr std::int64_t kPart = 100;
  if (--requests_until_pruning_ > 0) return;
  delete_old_requests_.run();
  delete_excess_requests_.run(most_requests_ - 1);
  requests_until_pruning_ = std::max<std::int64_t>(1, most_requests_ / kPart);
}

void JobStore::update_job(const v1::TrainingJob& job) {
  update_job_.run(job.id(), state_name(job.state()), Blob{job.SerializeAsString()});
}

void JobStore::delete_job(const std::string& id) {
  Transaction transaction(database_);
  deleted_.add(id);
  delete_job_.run(id);
  transaction.commit();
}

bool JobStore::shrink_file() {
  constexpr std::int64_t kPages = 256;
  return release_free_pages(database_, kPages);
}

void JobStore::set_aside(const v1::TrainingJob& job, const std::string& why) {
  Transaction transaction(database_);
  database_.execute(
      "CREATE TABLE IF NOT EXISTS set_aside(job_id TEXT PRIMARY KEY, why TEXT NOT NULL, job BLOB NOT NULL, "
      "created_at INTEGER NOT NULL DEFAULT (unixepoch())) STRICT, WITHOUT ROWID");
  Statement(database_, "INSERT OR REPLACE INTO set_aside(job_id, why, job) SELECT id, ?2, job FROM jobs WHERE id = ?1")
      .run(job.id(), why);
  update_job(job);
  transaction.commit();
}

std::map<std::string, std::string> JobStore::jobs_set_aside() {
  std::map<std::string, std::string> why_of;
  Statement table(database_, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'set_aside'");
  table.begin();
  if (!table.next()) return why_of;
  Statement select(database_, "SELECT job_id, why FROM set_aside");
  for (select.begin(); select.next();) why_of[select.bytes(0)] = select.bytes(1);
  return why_of;
}

std::vector<std::string> JobStore::file_faults() {
  std::vector<std::string> faults;
  try {
    Statement check(database_, "PRAGMA integrity_check(20)");
    for (check.begin(); check.next();) {
      if (const std::string line = check.bytes(0); line != "ok") faults.push_back(line);
    }
  } catch (const StoreError& error) {
    if (error.cause() != StoreError::Cause::kDamaged) throw;
    faults.emplace_back(error.what());
  }
  return faults;
}

std::optional<AnsweredRequest> JobStore::answered_request(const std::string& request_id) {
  const ResetAtEnd reset(select_request_);
  select_request_.begin(request_id);
  if (!select_request_.next()) return std::nullopt;
  return AnsweredRequest{
      .request_id = request_id,
      .digest = select_request_.bytes(0),
      .answer = message_of<v1::TrainingJob>(database_, select_request_.bytes(1), "an answered request")};
}

void JobStore::start_training(const v1::TrainingJob& job, const StoredTraining& training) {
  Transaction transaction(database_);
  insert_training_.run(job.id(), job.generation(), Blob{training.request.SerializeAsString()},
                       Blob{training.response.SerializeAsString()});
  update_job_.run(job.id(), state_name(job.state()), Blob{job.SerializeAsString()});
  transaction.commit();
}

std::optional<StoredTraining> JobStore::training(const std::string& job_id, std::int64_t generation) {
  select_training_.begin(job_id, generation);
  return first_training(database_, select_training_);
}

std::optional<StoredTraining> JobStore::newest_training(const std::string& job_id) {
  select_newest_training_.begin(job_id);
  return first_training(database_, select_newest_training_);
}

void JobStore::insert_step(const StepKey& key, const StepRecord& record) {
  insert_step_.run(key.job_id, key.generation, key.step, Blob{record.request.SerializeAsString()}, Blob{record.digest},
                   blob_of(record.weight), blob_of(record.log_alpha_K), blob_of(record.group_loss_K));
}

void JobStore::insert_steps(const std::string& job_id, std::int64_t generation,
                            const std::vector<StepRecord>& records) {
  Transaction transaction(database_);
  for (const StepRecord& record : records) {
    insert_step({.job_id = job_id, .generation = generation, .step = record.request.step()}, record);
  }
  transaction.commit();
}

std::optional<StepRecord> JobStore::step(const StepKey& key) {
  select_step_.begin(key.job_id, key.generation, key.step);
  return first_step(database_, select_step_);
}

std::vector<std::int64_t> JobStore::generations(const std::string& job_id) {
  std::vector<std::int64_t> generations;
  const ResetAtEnd reset(select_generations_);
  for (select_generations_.begin(job_id); select_generations_.next();) {
    generations.push_back(select_generations_.integer(0));
  }
  return generations;
}

StepRange JobStore::step_range(const std::string& job_id, std::int64_t generation) {
  const ResetAtEnd reset(select_step_range_);
  select_step_range_.begin(job_id, generation);
  select_step_range_.next();
  return {.first = select_step_range_.integer(0),
          .last = select_step_range_.integer(1),
          .count = select_step_range_.integer(2)};
}

std::optional<StepRecord> JobStore::last_step(const std::string& job_id, std::int64_t generation) {
  select_last_step_.begin(job_id, generation);
  return first_step(database_, select_last_step_);
}

std::vector<StepRecord> JobStore::steps(const std::string& job_id, std::int64_t first, PageLimit limit) {
  std::vector<StepRecord> records;
  std::size_t bytes = 0;
  const ResetAtEnd reset(select_steps_);
  for (select_steps_.begin(job_id, first, limit.rows); select_steps_.next();) {
    StepRecord record = step_of(database_, select_steps_);
    bytes += size_of(record);
    if (!records.empty() && bytes > limit.bytes) break;
    records.push_back(std::move(record));
  }
  return records;
}

std::string JobStore::signing_key() {
  select_key_.begin();
  if (!select_key_.next()) fail_damaged(database_, "the signing key");
  std::string key = select_key_.bytes(0);
  select_key_.reset();
  return key;
}

}  // namespace equipoise::coordinator
