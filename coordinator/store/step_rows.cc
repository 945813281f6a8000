#include "coordinator/store/step_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "coordinator/store/row_reading.h"
#include "coordinator/weights/report_format.h"

namespace equipoise::coordinator {
namespace {

static_assert(std::endian::native == std::endian::little, "vectors are stored as they lie in memory");

constexpr std::int64_t kBytesOfRow = 110;       // besides its report
constexpr std::int64_t kThinnedAtOnce = 1'024;  // steps: some milliseconds
constexpr std::int64_t kCoarser = 16;           // each pass keeps one in 16 of what the pass before has kept
constexpr std::int64_t kCoarsest = 1'000'000'000;

std::vector<double> doubles_of(const Database& database, const std::string& bytes) {
  if (bytes.size() % sizeof(double) != 0) fail_damaged(database, "a vector of a step");
  std::vector<double> values(bytes.size() / sizeof(double));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

constexpr const char* kStepColumns =
    "SELECT request, digest, weight, log_alpha, group_loss, result_digest, step, generation FROM steps ";

StepRecord step_of(const Database& database, const Statement& row) {
  StepRecord record{.request = {},
                    .digest = row.bytes(1),
                    .weight = doubles_of(database, row.bytes(2)),
                    .log_alpha_K = doubles_of(database, row.bytes(3)),
                    .group_loss_K = doubles_of(database, row.bytes(4)),
                    .result_digest = row.bytes(5)};
  if (record.result_digest.empty()) {
    record.request = message_of<v1::ReportStepRequest>(database, row.bytes(0), "a step");
    return record;
  }
  auto report = decoded_report(row.bytes(0));
  const bool is_compact = record.weight.empty() && record.log_alpha_K.empty() && record.group_loss_K.empty();
  if (!report || !is_compact) fail_damaged(database, "a step");
  record.request = std::move(*report);
  record.request.set_step(row.integer(6));
  record.request.set_generation(row.integer(7));
  return record;
}

std::optional<StepRecord> first_step(const Database& database, Statement& row) {
  const ResetAtEnd reset(row);
  if (!row.next()) return std::nullopt;
  return step_of(database, row);
}

// Which steps are of the lineage.
constexpr const char* kInLineage =
    " AND NOT EXISTS (SELECT 1 FROM attempts later WHERE later.job_id = steps.job_id "
    "AND later.generation > steps.generation AND later.start_step <= steps.step) ";

std::size_t size_of(const StepRecord& record) {
  return record.request.ByteSizeLong() + (record.log_alpha_K.size() + record.group_loss_K.size()) * sizeof(double);
}

}  // namespace

StepRows::StepRows(Database& database)
    : database_(database),
      insert_(database_,
              "INSERT INTO steps(job_id, generation, step, request, digest, weight, log_alpha, group_loss, "
              "result_digest) VALUES (?, ?, ?, ?, ?, x'', x'', x'', ?)"),
      insert_state_(database_, "INSERT INTO weight_states(job_id, generation, steps, state) VALUES (?, ?, ?, ?)"),
      select_(database_, std::string(kStepColumns) + "WHERE job_id = ? AND generation = ? AND step = ?"),
      select_range_(database_,
                    "SELECT min(step), max(step), count(*) FROM steps WHERE job_id = ? AND generation = ? "
                    "AND step >= ? AND step <= ?"),
      select_last_(database_,
                   std::string(kStepColumns) + "WHERE job_id = ? AND generation = ? ORDER BY step DESC LIMIT 1"),
      select_last_number_(database_,
                          "SELECT step FROM steps WHERE job_id = ? AND generation = ? AND step >= ? "
                          "ORDER BY step DESC LIMIT 1"),
      select_between_(database_, std::string(kStepColumns) +
                                     "WHERE job_id = ? AND generation = ? AND step >= ? AND step < ? ORDER BY step"),
      select_state_(database_,
                    "SELECT state FROM weight_states WHERE job_id = ? AND generation = ? AND steps <= ? "
                    "ORDER BY steps DESC LIMIT 1"),
      // With max() SQLite takes the other columns from the row that has it.
      select_lineage_(database_,
                      std::string("SELECT request, digest, weight, log_alpha, group_loss, result_digest, step, "
                                  "max(generation) FROM steps WHERE job_id = ? AND step >= ?") +
                          kInLineage + "GROUP BY step ORDER BY step LIMIT ?"),
      select_lineage_step_(database_, std::string(kStepColumns) + "WHERE job_id = ? AND step = ?" + kInLineage +
                                          "ORDER BY generation DESC LIMIT 1"),
      select_extent_(database_, "SELECT bytes, thinned_end, spacing, next_step FROM histories WHERE job_id = ?"),
      store_extent_(database_,
                    "INSERT OR REPLACE INTO histories(job_id, bytes, thinned_end, spacing, next_step) "
                    "VALUES (?, ?, ?, ?, ?)") {}

void StepRows::insert_row(const StepKey& key, const StepRecord& record) {
  const std::string report = encoded_report(record.request);
  insert_.run(key.job_id, key.generation, key.step, Blob{report}, Blob{record.digest}, Blob{record.result_digest});
  if (!record.state.empty()) insert_state_.run(key.job_id, key.generation, key.step + 1, Blob{record.state});
}

void StepRows::insert(const std::string& job_id, std::int64_t generation, std::span<const StepRecord> records) {
  HistoryExtent extent = known_extent(job_id);
  bool has_state = false;
  for (const StepRecord& record : records) {
    extent.bytes += kBytesOfRow + static_cast<std::int64_t>(encoded_report(record.request).size());
    if (!record.state.empty()) extent.bytes += kBytesOfRow + static_cast<std::int64_t>(record.state.size());
    has_state = has_state || !record.state.empty();
  }
  if (records.size() == 1 && !has_state) {
    insert_row({.job_id = job_id, .generation = generation, .step = records[0].request.step()}, records[0]);
  } else {
    Transaction transaction(database_);
    for (const StepRecord& record : records) {
      insert_row({.job_id = job_id, .generation = generation, .step = record.request.step()}, record);
    }
    if (has_state) store_extent(job_id, extent);  // else every step would write one more page
    transaction.commit();
  }
  known_extent(job_id) = extent;
}

std::optional<StepRecord> StepRows::step(const StepKey& key) {
  select_.begin(key.job_id, key.generation, key.step);
  return first_step(database_, select_);
}

StepRange StepRows::range(const std::string& job_id, std::int64_t generation, std::int64_t first, std::int64_t last) {
  const ResetAtEnd reset(select_range_);
  select_range_.begin(job_id, generation, first, last);
  select_range_.next();
  return {.first = select_range_.integer(0), .last = select_range_.integer(1), .count = select_range_.integer(2)};
}

std::optional<StepRecord> StepRows::last(const std::string& job_id, std::int64_t generation) {
  select_last_.begin(job_id, generation);
  return first_step(database_, select_last_);
}

std::optional<std::int64_t> StepRows::last_number(const std::string& job_id, std::int64_t generation,
                                                  std::int64_t first) {
  const ResetAtEnd reset(select_last_number_);
  select_last_number_.begin(job_id, generation, first);
  return select_last_number_.next() ? std::optional(select_last_number_.integer(0)) : std::nullopt;
}

std::vector<StepRecord> StepRows::between(const std::string& job_id, std::int64_t generation, std::int64_t first,
                                          std::int64_t end) {
  std::vector<StepRecord> records;
  const ResetAtEnd reset(select_between_);
  for (select_between_.begin(job_id, generation, first, end); select_between_.next();) {
    records.push_back(step_of(database_, select_between_));
  }
  return records;
}

std::optional<v1::WeightState> StepRows::state(const std::string& job_id, std::int64_t generation, std::int64_t steps) {
  const ResetAtEnd reset(select_state_);
  select_state_.begin(job_id, generation, steps);
  if (!select_state_.next()) return std::nullopt;
  return message_of<v1::WeightState>(database_, select_state_.bytes(0), "a state of the weights");
}

std::vector<StepRecord> StepRows::lineage(const std::string& job_id, std::int64_t first, PageLimit limit) {
  std::vector<StepRecord> records;
  std::size_t bytes = 0;
  const ResetAtEnd reset(select_lineage_);
  for (select_lineage_.begin(job_id, first, limit.rows); select_lineage_.next();) {
    StepRecord record = step_of(database_, select_lineage_);
    bytes += size_of(record);
    if (!records.empty() && bytes > limit.bytes) break;
    records.push_back(std::move(record));
  }
  return records;
}

std::optional<StepRecord> StepRows::lineage_step(const std::string& job_id, std::int64_t step) {
  select_lineage_step_.begin(job_id, step);
  return first_step(database_, select_lineage_step_);
}

HistoryExtent& StepRows::known_extent(const std::string& job_id) {
  const auto known = extents_.find(job_id);
  if (known != extents_.end()) return known->second;
  HistoryExtent extent;
  const ResetAtEnd reset(select_extent_);
  select_extent_.begin(job_id);
  if (select_extent_.next()) {
    extent = {.bytes = select_extent_.integer(0),
              .thinned_end = select_extent_.integer(1),
              .spacing = select_extent_.integer(2),
              .next_step = select_extent_.integer(3)};
  }
  return extents_[job_id] = extent;
}

HistoryExtent StepRows::extent(const std::string& job_id) { return known_extent(job_id); }

void StepRows::store_extent(const std::string& job_id, const HistoryExtent& extent) {
  store_extent_.run(job_id, extent.bytes, extent.thinned_end, extent.spacing, extent.next_step);
}

void StepRows::rewind(const std::string& job_id, std::int64_t first_step) {
  HistoryExtent extent = known_extent(job_id);
  if (extent.thinned_end <= first_step) return;
  extent.thinned_end = first_step;
  extent.next_step = std::min(extent.next_step, first_step);
  store_extent(job_id, extent);
  forget(job_id);  // read again, as the transaction may fail
}

void StepRows::forget(const std::string& job_id) { extents_.erase(job_id); }

// Of each block of `spacing` steps the first that has the state after it.
std::vector<StepRows::Kept> StepRows::kept_of(const std::string& job_id, const HistoryExtent& extent,
                                              std::int64_t end) {
  std::vector<Kept> kept;
  Statement select(database_,
                   std::string("SELECT min(steps.step), steps.generation FROM steps JOIN weight_states states ON "
                               "states.job_id = steps.job_id AND states.steps = steps.step + 1 AND "
                               "states.generation = steps.generation "
                               "WHERE steps.job_id = ? AND steps.step >= ? AND steps.step < ?") +
                       kInLineage + "GROUP BY steps.step / ? ORDER BY 1");
  for (select.begin(job_id, extent.next_step, end, extent.spacing); select.next();) {
    kept.push_back({.step = select.integer(0), .generation = select.integer(1)});
  }
  return kept;
}

std::int64_t StepRows::bytes_between(const std::string& job_id, std::int64_t first, std::int64_t end) {
  std::int64_t bytes = 0;
  for (const char* sql : {"SELECT sum(length(request) + ?4) FROM steps WHERE job_id = ?1 AND step >= ?2 AND step < ?3",
                          "SELECT sum(length(state) + ?4) FROM weight_states "
                          "WHERE job_id = ?1 AND steps > ?2 AND steps <= ?3"}) {
    Statement sum(database_, sql);
    sum.begin(job_id, first, end, kBytesOfRow);
    if (sum.next()) bytes += sum.integer(0);
  }
  return bytes;
}

// With the states after each of them.
void StepRows::remove_between(const std::string& job_id, std::int64_t first, std::int64_t end) {
  if (first >= end) return;
  Statement(database_, "DELETE FROM steps WHERE job_id = ? AND step >= ? AND step < ?").run(job_id, first, end);
  Statement(database_, "DELETE FROM weight_states WHERE job_id = ? AND steps > ? AND steps <= ?")
      .run(job_id, first, end);
}

// What follows the steps that are thinned goes on from a state of the line, which stays: `which` is min or max of those
// after more than `from` steps and at most `to`.
std::optional<std::int64_t> StepRows::state_of_line(const std::string& job_id, const std::string& which,
                                                    std::int64_t from, std::int64_t to) {
  Statement select(database_, "SELECT " + which +
                                  "(steps) FROM weight_states states WHERE job_id = ?1 AND steps > ?2 AND steps <= ?3 "
                                  "AND NOT EXISTS (SELECT 1 FROM attempts later WHERE later.job_id = ?1 "
                                  "AND later.generation > states.generation AND later.start_step <= states.steps)");
  select.begin(job_id, from, to);
  return select.next() ? select.optional_integer(0) : std::nullopt;
}

bool StepRows::thin(const std::string& job_id, std::int64_t keep_from) {
  HistoryExtent extent = known_extent(job_id);
  if (extent.spacing < kCoarser) extent.spacing = kCoarser;
  const std::int64_t near = extent.next_step + std::max(kThinnedAtOnce, kCoarser * extent.spacing);
  std::optional<std::int64_t> end = state_of_line(job_id, "max", extent.next_step, std::min(keep_from, near));
  // None where the job begins at a later step, as one that goes on from another's checkpoint.
  if (!end) end = state_of_line(job_id, "min", extent.next_step, keep_from);
  if (!end) {
    const bool is_done = extent.next_step == 0 || extent.spacing >= std::min(kCoarsest, keep_from);
    if (is_done) return false;
    extent.spacing *= kCoarser;
    extent.next_step = 0;
    known_extent(job_id) = extent;
    return thin(job_id, keep_from);
  }
  const std::vector<Kept> kept = kept_of(job_id, extent, *end);
  const std::int64_t bytes_before = bytes_between(job_id, extent.next_step, *end);
  Transaction transaction(database_);
  std::int64_t first = extent.next_step;
  for (const Kept& step : kept) {
    remove_between(job_id, first, step.step);
    Statement(database_, "DELETE FROM steps WHERE job_id = ? AND step = ? AND generation <> ?")
        .run(job_id, step.step, step.generation);
    first = step.step + 1;
  }
  // The state at the end is that from which the next step is replayed.
  remove_between(job_id, first, *end - 1);
  if (first < *end) Statement(database_, "DELETE FROM steps WHERE job_id = ? AND step = ?").run(job_id, *end - 1);
  extent.bytes = std::max<std::int64_t>(0, extent.bytes - bytes_before + bytes_between(job_id, extent.next_step, *end));
  extent.next_step = *end;
  extent.thinned_end = std::max(extent.thinned_end, *end);
  store_extent(job_id, extent);
  transaction.commit();
  known_extent(job_id) = extent;
  return true;
}

}  // namespace equipoise::coordinator
