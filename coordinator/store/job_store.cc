#include "coordinator/store/job_store.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/base/message_text.h"
#include "common/protocol/job_state.h"
#include "coordinator/store/free_pages.h"
#include "coordinator/store/row_reading.h"
#include "coordinator/store/schema.h"

namespace equipoise::coordinator {
namespace {

std::optional<DesiredState> desired_of(const std::string& name) {
  for (const DesiredState desired : {DesiredState::kRun, DesiredState::kPause, DesiredState::kCancel}) {
    if (desired_name(desired) == name) return desired;
  }
  return std::nullopt;
}

std::string row_damage(const JobRow& row, const v1::TrainingJob& job, bool is_message) {
  if (!row.damage.empty()) return "its record cannot be read: " + row.damage;
  if (!is_message || row.job.empty()) return "its record cannot be read";
  if (job.id() != row.id) return "its record is that of job " + quoted_text(job.id());
  if (row.checksum != row_checksum(row)) return "its record is not as it was stored: the checksum is of another";
  return desired_of(row.desired) ? "" : "what is wanted of it is " + quoted_text(row.desired) + ", which is none";
}

StoredJob job_of(const JobRow& row) {
  StoredJob stored{.sequence = row.sequence, .job = {}};
  const bool is_message = row.damage.empty() && stored.job.ParseFromString(row.job);
  stored.damage = row_damage(row, stored.job, is_message);
  stored.desired = desired_of(row.desired).value_or(DesiredState::kRun);
  if (stored.damage.empty()) return stored;
  stored.job.Clear();
  stored.job.set_id(row.id);
  return stored;
}

constexpr std::int64_t kMostEvents = 1'000, kMostRequestEvents = 200;  // of a job

// SQLite numbers jobs, and takes none after the largest number that there is: no job has that but through damage, and
// then the next one follows those below 2^62.
constexpr const char* kInsertJob = R"sql(
INSERT INTO jobs(sequence, id, state, job, desired, checksum)
SELECT CASE
  WHEN coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'jobs'), 0) < (1 << 62)
    AND coalesce((SELECT max(sequence) FROM jobs), 0) < (1 << 62) THEN NULL
  ELSE 1 + max(coalesce((SELECT max(sequence) FROM jobs WHERE sequence < (1 << 62)), 0),
    coalesce((SELECT max(sequence) FROM deleted_jobs WHERE sequence < (1 << 62)), 0), 0)
  END, ?, ?, ?, ?, ?
RETURNING sequence
)sql";

}  // namespace

JobStore::JobStore(const std::filesystem::path& file, Access access)
    : database_(access == Access::kReadOnly ? with_newest_schema(Database(file, access))
                                            : without_free_pages(with_schema(Database(file)))),
      deleted_(database_),
      host_cordons_(database_),
      attempts_(database_),
      steps_(database_),
      insert_job_(database_, kInsertJob),
      select_state_(database_, "SELECT state, desired FROM jobs WHERE id = ?"),
      update_job_(database_, "UPDATE jobs SET state = ?2, job = ?3, desired = ?4, checksum = ?5 WHERE id = ?1"),
      delete_job_(database_, "DELETE FROM jobs WHERE id = ?"),
      insert_event_(database_,
                    "INSERT OR REPLACE INTO events(job_id, revision, kind, text, generation) VALUES (?, ?, ?, ?, ?)"),
      delete_old_events_(database_,
                         "DELETE FROM events WHERE job_id = ?1 AND revision < "
                         "(SELECT revision FROM events WHERE job_id = ?1 ORDER BY revision DESC LIMIT 1 OFFSET ?2)"),
      delete_old_requests_of_people_(
          database_,
          "DELETE FROM events WHERE job_id = ?1 AND kind = 'REQUEST' AND revision < (SELECT revision FROM events "
          "WHERE job_id = ?1 AND kind = 'REQUEST' ORDER BY revision DESC LIMIT 1 OFFSET ?2)"),
      select_events_(database_,
                     "SELECT revision, time, kind, text, generation FROM events WHERE job_id = ? AND revision > ? "
                     "ORDER BY revision, kind LIMIT ?"),
      select_request_(database_,
                      "SELECT digest, answer FROM requests "
                      "WHERE request_id = ? AND created_at >= unixepoch() - 30 * 86400"),
      insert_request_(database_, "INSERT OR REPLACE INTO requests(request_id, digest, answer) VALUES (?, ?, ?)"),
      delete_old_requests_(database_, "DELETE FROM requests WHERE created_at < unixepoch() - 30 * 86400"),
      delete_excess_requests_(database_,
                              "DELETE FROM requests WHERE request_id IN "
                              "(SELECT request_id FROM requests ORDER BY created_at DESC LIMIT -1 OFFSET ?)"),
      delete_excess_bytes_(database_,
                           "DELETE FROM requests WHERE request_id IN (SELECT request_id FROM (SELECT request_id, "
                           "sum(length(answer)) OVER (ORDER BY created_at DESC, request_id) AS bytes FROM requests) "
                           "WHERE bytes > ?)"),
      select_key_(database_, "SELECT key FROM signing_key") {
  if (access == Access::kReadOnly) return;
  try {
    delete_old_requests_.run();
  } catch (const StoreError& error) {  // a damaged table of answered requests keeps no job from running
    if (error.cause() != StoreError::Cause::kDamaged) throw;
  }
}

std::vector<StoredJob> JobStore::jobs() {
  JobRows read = read_job_rows(database_, JobColumns::kNewest);
  unread_ = std::move(read.unread);
  std::vector<StoredJob> jobs;
  for (const JobRow& row : read.rows) jobs.push_back(job_of(row));
  return jobs;
}

namespace {

std::string state_event_text(const v1::TrainingJob& job) { return state_name(job.state()) + ": " + job.state_reason(); }

}  // namespace

std::int64_t JobStore::insert_job(const v1::TrainingJob& job, const std::optional<AnsweredRequest>& request) {
  const JobRow row{.id = job.id(), .state = state_name(job.state()), .job = job.SerializeAsString()};
  Transaction transaction(database_);
  std::int64_t sequence = 0;
  {
    const ResetAtEnd reset(insert_job_);
    insert_job_.begin(row.id, row.state, Blob{row.job}, row.desired, Blob{row_checksum(row)});
    insert_job_.next();
    sequence = insert_job_.integer(0);
  }
  write_event(job, kStateEvent, state_event_text(job));
  if (request) write_request(*request);
  write_carried(job, true);
  transaction.commit();
  return sequence;
}

// All look at every row, which is too much for each new request.
void JobStore::prune_requests(std::int64_t bytes) {
  constexpr std::int64_t kPart = 100, kPartOfBytes = 16;
  request_bytes_until_pruning_ -= bytes;
  if (--requests_until_pruning_ > 0 && request_bytes_until_pruning_ > 0) return;
  delete_old_requests_.run();
  delete_excess_requests_.run(most_requests_ - 1);
  delete_excess_bytes_.run(std::max<std::int64_t>(0, most_request_bytes_ - bytes));
  requests_until_pruning_ = std::max<std::int64_t>(1, most_requests_ / kPart);
  request_bytes_until_pruning_ = std::max<std::int64_t>(1, most_request_bytes_ / kPartOfBytes);
}

void JobStore::write_request(const AnsweredRequest& request) {
  v1::TrainingJob answer = request.answer;
  answer.clear_spec();
  const std::string bytes = answer.SerializeAsString();
  prune_requests(static_cast<std::int64_t>(bytes.size()));
  insert_request_.run(request.request_id, Blob{request.digest}, Blob{bytes});
}

void JobStore::write_carried(const v1::TrainingJob& job, bool is_new) {
  if (!carried_ || (carried_->job_id.empty() ? !is_new : carried_->job_id != job.id())) return;
  write_request({.request_id = carried_->request_id, .digest = carried_->digest, .answer = job});
}

void JobStore::keep_request(const AnsweredRequest& request) {
  Transaction transaction(database_);
  write_request(request);
  transaction.commit();
}

void JobStore::set_cordon(const std::string& host, const std::optional<StoredCordon>& cordon,
                          const std::optional<AnsweredRequest>& request) {
  Transaction transaction(database_);
  host_cordons_.set(host, cordon);
  if (request) write_request(*request);
  transaction.commit();
}

void JobStore::write_event(const v1::TrainingJob& job, const std::string& kind, const std::string& text) {
  insert_event_.run(job.id(), job.revision(), kind, text, job.generation());
  // Whoever asks again and again does not push changes of state out.
  if (kind == kRequestEvent) delete_old_requests_of_people_.run(job.id(), kMostRequestEvents - 1);
  delete_old_events_.run(job.id(), kMostEvents - 1);
  if (events_watched_) jobs_with_events_.insert(job.id());
}

std::map<std::string, std::int64_t> JobStore::newest_events() {
  std::map<std::string, std::int64_t> newest;
  Statement select(database_, "SELECT job_id, MAX(revision) FROM events GROUP BY job_id");
  for (select.begin(); select.next();) newest.emplace(select.bytes(0), select.integer(1));
  return newest;
}

void JobStore::write_job(const v1::TrainingJob& job, std::optional<DesiredState> desired) {
  JobRow row{.id = job.id(), .state = state_name(job.state()), .job = job.SerializeAsString()};
  std::string state_before;
  {
    const ResetAtEnd reset(select_state_);
    select_state_.begin(row.id);
    if (!select_state_.next()) return;
    state_before = select_state_.bytes(0);
    row.desired = select_state_.bytes(1);
  }
  const bool is_cancelled = job.state() == v1::JOB_STATE_CANCELLING || job.state() == v1::JOB_STATE_CANCELLED;
  if (is_cancelled) desired = DesiredState::kCancel;
  if (desired) row.desired = desired_name(*desired);
  update_job_.run(row.id, row.state, Blob{row.job}, row.desired, Blob{row_checksum(row)});
  if (row.state != state_before) write_event(job, kStateEvent, state_event_text(job));
  write_carried(job, false);
}

void JobStore::update_job(const v1::TrainingJob& job, std::optional<DesiredState> desired, const std::string& request) {
  Transaction transaction(database_);
  write_job(job, desired);
  if (!request.empty()) write_event(job, kRequestEvent, request);
  transaction.commit();
}

std::vector<StoredEvent> JobStore::events(const std::string& job_id, std::int64_t after, std::int64_t limit) {
  std::vector<StoredEvent> events;
  const ResetAtEnd reset(select_events_);
  for (select_events_.begin(job_id, after, limit); select_events_.next();) {
    events.push_back({.revision = select_events_.integer(0),
                      .time = select_events_.integer(1),
                      .generation = select_events_.integer(4),
                      .kind = select_events_.bytes(2),
                      .text = select_events_.bytes(3)});
  }
  return events;
}

void JobStore::delete_job(const std::string& id) {
  Transaction transaction(database_);
  deleted_.add(id);
  delete_job_.run(id);
  v1::TrainingJob deleted;
  deleted.set_id(id);
  write_carried(deleted, false);
  transaction.commit();
  steps_.forget(id);
}

void JobStore::set_aside(const v1::TrainingJob& job, const std::string& why) {
  Transaction transaction(database_);
  Statement(database_, "INSERT OR REPLACE INTO set_aside(job_id, why, job) SELECT id, ?2, job FROM jobs WHERE id = ?1")
      .run(job.id(), why);
  write_job(job);
  transaction.commit();
}

std::map<std::string, std::string> JobStore::jobs_set_aside() {
  std::map<std::string, std::string> why_of;
  Statement select(database_, "SELECT job_id, why FROM set_aside");
  for (select.begin(); select.next();) why_of[select.bytes(0)] = select.bytes(1);
  return why_of;
}

namespace {

// What SQLite finds wrong, by `pragma`; empty where it is whole.
std::vector<std::string> faults_found_by(Database& database, const std::string& pragma) {
  std::vector<std::string> faults;
  try {
    Statement check(database, pragma);
    for (check.begin(); check.next();) {
      if (const std::string line = check.bytes(0); line != "ok") faults.push_back(line);
    }
  } catch (const StoreError& error) {
    if (error.cause() != StoreError::Cause::kDamaged) throw;
    faults.emplace_back(error.what());
  }
  return faults;
}

}  // namespace

// With a table put aside, each of the others: what is wrong with the whole file stays as it was.
std::vector<std::string> JobStore::file_faults() {
  std::vector<std::string> tables;
  bool has_table_aside = false;
  try {
    Statement select(database_, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    for (select.begin(); select.next();) tables.push_back(select.bytes(0));
  } catch (const StoreError& error) {
    if (error.cause() != StoreError::Cause::kDamaged) throw;
  }
  has_table_aside = std::erase_if(tables, [](const std::string& name) { return name.starts_with("damaged_"); }) > 0;
  if (!has_table_aside) return faults_found_by(database_, "PRAGMA integrity_check(20)");
  std::vector<std::string> faults;
  for (const std::string& table : tables) {
    for (const std::string& fault : faults_found_by(database_, "PRAGMA integrity_check('" + table + "')")) {
      faults.push_back(fault);
    }
  }
  return faults;
}

bool JobStore::is_whole(const std::string& table) {
  return faults_found_by(database_, "PRAGMA integrity_check('" + table + "')").empty();
}

std::vector<std::string> JobStore::replace_damaged_tables() {
  std::vector<std::string> done;
  if (!is_whole("jobs")) replace_damaged_jobs(done);
  for (const char* table :
       {"requests", "events", "signing_key", "deleted_jobs", "attempt_failures", "finished_ranks", "host_cordons"}) {
    if (!is_whole(table)) replace_by_empty(table, done);
  }
  return done;
}

namespace {

// Of those that were made by themselves.
std::vector<std::pair<std::string, std::string>> indexes_of(Database& database, const std::string& table) {
  std::vector<std::pair<std::string, std::string>> indexes;  // name, sql
  Statement select(database,
                   "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL");
  for (select.begin(table); select.next();) indexes.emplace_back(select.bytes(0), select.bytes(1));
  return indexes;
}

std::string sql_of_table(Database& database, const std::string& table) {
  Statement select(database, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?");
  select.begin(table);
  if (!select.next()) fail_damaged(database, "the schema");
  return select.bytes(0);
}

}  // namespace

void JobStore::replace_damaged_jobs(std::vector<std::string>& done) {
  const JobRows read = read_job_rows(database_, JobColumns::kNewest);
  const std::string create = sql_of_table(database_, "jobs");
  Transaction transaction(database_);
  const std::string kept = replace_jobs_table(database_, read.rows, create);
  transaction.commit();
  done.push_back("table jobs is made anew from what could be read; the damaged one is kept as " + kept);
  done.insert(done.end(), read.unread.begin(), read.unread.end());
}

void JobStore::replace_by_empty(const std::string& table, std::vector<std::string>& done) {
  const std::string create = sql_of_table(database_, table);
  const auto indexes = indexes_of(database_, table);
  Transaction transaction(database_);
  const std::string kept = rename_aside(database_, table);
  database_.execute(create);
  // The damaged table keeps its own under their names.
  for (const auto& [name, sql] : indexes) {
    std::string anew = sql;
    anew.replace(anew.find(name), name.size(), name + kept.substr(kept.rfind('_')));
    database_.execute(anew);
  }
  if (table == "signing_key") database_.execute("INSERT INTO signing_key VALUES (randomblob(32))");
  transaction.commit();
  done.push_back("table " + table + " is made anew, without what it had; the damaged one is kept as " + kept);
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

void JobStore::begin_attempt(const v1::TrainingJob& job, const StoredAttempt& attempt) {
  Transaction transaction(database_);
  attempts_.begin(job.id(), attempt);
  write_job(job);
  transaction.commit();
}

void JobStore::end_attempt(const v1::TrainingJob& job, const StoredAttempt& attempt,
                           std::optional<DesiredState> desired) {
  Transaction transaction(database_);
  attempts_.end(job.id(), attempt);
  write_job(job, desired);
  transaction.commit();
}

void JobStore::set_attempt_failure(const std::string& job_id, const v1::AttemptFailure& failure) {
  attempts_.set_failure(job_id, failure);
}

void JobStore::commit_checkpoint(const v1::TrainingJob& job, const StoredCheckpoint& checkpoint,
                                 const std::vector<std::int64_t>& removed) {
  Transaction transaction(database_);
  attempts_.commit_checkpoint(job.id(), checkpoint);
  for (const std::int64_t step : removed) attempts_.mark_deleted(job.id(), step, std::nullopt);
  write_job(job);
  transaction.commit();
}

void JobStore::mark_checkpoints_deleted(const std::string& job_id, const std::vector<std::int64_t>& steps) {
  Transaction transaction(database_);
  for (const std::int64_t step : steps) attempts_.mark_deleted(job_id, step, std::nullopt);
  transaction.commit();
}

void JobStore::start_training(const v1::TrainingJob& job, const StoredTraining& training,
                              const std::string& start_checkpoint) {
  Transaction transaction(database_);
  attempts_.start(job, training, start_checkpoint);
  attempts_.keep_line(training);
  steps_.rewind(job.id(), training.response.plan().first_step());
  write_job(job);
  transaction.commit();
}

// The version in the file's header is written even where it stays the same.
void JobStore::probe() {
  Statement version(database_, "PRAGMA user_version");
  version.begin();
  version.next();
  const std::int64_t same = version.integer(0);
  version.reset();
  database_.execute("PRAGMA user_version = " + std::to_string(same));
}

std::uint64_t JobStore::bytes() const {
  std::uint64_t sum = 0;
  for (const char* const ending : {"", "-wal"}) {
    std::error_code is_not_there;
    const std::uintmax_t bytes = std::filesystem::file_size(database_.path().string() + ending, is_not_there);
    if (!is_not_there) sum += bytes;
  }
  return sum;
}

std::string JobStore::signing_key() {
  select_key_.begin();
  if (!select_key_.next()) fail_damaged(database_, "the signing key");
  std::string key = select_key_.bytes(0);
  select_key_.reset();
  return key;
}

}  // namespace equipoise::coordinator
