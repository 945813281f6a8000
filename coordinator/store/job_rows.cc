#include "coordinator/store/job_rows.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "common/base/sha256.h"

namespace equipoise::coordinator {
namespace {

// A range that cannot be read is halved this often at most, over all: some seconds.
constexpr int kMostHalvings = 200'000;

struct Damage {
  std::string what;
};

// What `read` says of damage; nothing where it reads to its end.
std::optional<Damage> damage_met_by(const std::function<void()>& read) {
  try {
    read();
    return std::nullopt;
  } catch (const StoreError& error) {
    if (error.cause() != StoreError::Cause::kDamaged) throw;
    return Damage{.what = error.what()};
  }
}

class JobTableReader {
 public:
  JobTableReader(Database& database, JobColumns columns) : database_(database), columns_(columns) {}

  JobRows read() {
    const std::string all = "SELECT " + column_names() + " FROM jobs NOT INDEXED ORDER BY sequence";
    if (!read_rows(all)) return result();
    const bool knows_all = read_index();
    std::vector<std::int64_t> sequences;
    for (const auto& [sequence, row] : rows_) sequences.push_back(sequence);
    for (const std::int64_t sequence : sequences) read_one(sequence);
    if (!knows_all) read_between_ends();
    return result();
  }

 private:
  std::string column_names() const {
    return columns_ == JobColumns::kNewest ? "sequence, id, state, job, desired, checksum" : "sequence, id, state, job";
  }

  void take(const Statement& row) {
    JobRow taken{.sequence = row.integer(0), .id = row.bytes(1), .state = row.bytes(2), .job = row.bytes(3)};
    if (columns_ == JobColumns::kNewest) {
      taken.desired = row.bytes(4);
      taken.checksum = row.bytes(5);
    } else {
      if (taken.state.starts_with("CANCEL")) taken.desired = desired_name(DesiredState::kCancel);
      taken.checksum = row_checksum(taken);
    }
    rows_[taken.sequence] = std::move(taken);
  }

  template <typename... Values>
  std::optional<Damage> read_rows(const std::string& sql, const Values&... values) {
    return damage_met_by([&] {
      Statement select(database_, sql);
      for (select.begin(values...); select.next();) take(select);
    });
  }

  // The ids, from both ends of the index of ids, which is on other pages. False where it is damaged itself.
  bool read_index() {
    bool is_whole = true;
    for (const char* direction : {"ASC", "DESC"}) {
      const auto damage = damage_met_by([&] {
        Statement select(database_, std::string("SELECT sequence, id FROM jobs ORDER BY id ") + direction);
        for (select.begin(); select.next();) rows_.try_emplace(select.integer(0), unread(select));
      });
      is_whole = is_whole && !damage;
    }
    return is_whole;
  }

  static JobRow unread(const Statement& row) {
    return {.sequence = row.integer(0), .id = row.bytes(1), .state = {}, .job = {}, .damage = "it is not in the table"};
  }

  void read_one(std::int64_t sequence) {
    const auto damage = read_rows("SELECT " + column_names() + " FROM jobs NOT INDEXED WHERE sequence = ?", sequence);
    if (damage && !rows_[sequence].damage.empty()) rows_[sequence].damage = damage->what;
  }

  // Both inclusive. From each end as far as it goes, and the halves of what lies between.
  void read_range(std::int64_t first, std::int64_t last) {
    const std::string where = " FROM jobs NOT INDEXED WHERE sequence BETWEEN ? AND ? ORDER BY sequence ";
    std::int64_t next = first, previous = last;
    const auto take_from_front = [&](const Statement& row) { next = std::min(row.integer(0), last - 1) + 1; };
    const auto take_from_back = [&](const Statement& row) { previous = std::max(row.integer(0), first + 1) - 1; };
    if (!walk("SELECT " + column_names() + where + "ASC", first, last, take_from_front)) return;
    if (!walk("SELECT " + column_names() + where + "DESC", next, last, take_from_back)) return;
    if (next >= previous || --halvings_left_ <= 0) {
      note_unread(next, previous);
      return;
    }
    const std::int64_t middle = next + (previous - next) / 2;
    read_range(next, middle);
    read_range(middle + 1, previous);
  }

  std::optional<Damage> walk(const std::string& sql, std::int64_t first, std::int64_t last,
                             const std::function<void(const Statement&)>& note) {
    return damage_met_by([&] {
      Statement select(database_, sql);
      for (select.begin(first, last); select.next();) {
        take(select);
        note(select);
      }
    });
  }

  // Neighbouring ones are one range.
  void note_unread(std::int64_t first, std::int64_t last) {
    const auto named = rows_.lower_bound(first);
    const bool is_named = first == last && named != rows_.end() && named->first == first;
    if (first > last || is_named) return;
    if (!gaps_.empty() && gaps_.back().second + 1 == first) {
      gaps_.back().second = last;
    } else {
      gaps_.emplace_back(first, last);
    }
  }

  void read_between_ends() {
    if (const auto newest = newest_sequence()) return read_range(1, *newest);
    is_end_unknown_ = true;
    read_rows("SELECT " + column_names() + " FROM jobs NOT INDEXED ORDER BY sequence DESC");
    if (!rows_.empty()) read_range(1, rows_.rbegin()->first);
  }

  std::optional<std::int64_t> newest_sequence() {
    std::optional<std::int64_t> newest;
    damage_met_by([&] {
      Statement select(database_, "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'");
      for (select.begin(); select.next();) newest = select.integer(0);
    });
    return newest;
  }

  JobRows result() {
    JobRows result;
    for (auto& [sequence, row] : rows_) result.rows.push_back(std::move(row));
    for (const auto& [first, last] : gaps_) {
      std::string text = first == last ? "row " + std::to_string(first) : "rows " + std::to_string(first);
      if (first != last) text += " to " + std::to_string(last);
      result.unread.push_back(text + " of table jobs cannot be read; whether there were jobs is not known");
    }
    if (is_end_unknown_) result.unread.emplace_back("how many rows table jobs had is not known");
    return result;
  }

  Database& database_;
  JobColumns columns_;
  std::map<std::int64_t, JobRow> rows_;
  std::vector<std::pair<std::int64_t, std::int64_t>> gaps_;
  bool is_end_unknown_ = false;
  int halvings_left_ = kMostHalvings;
};

}  // namespace

std::string_view desired_name(DesiredState desired) {
  switch (desired) {
    case DesiredState::kPause:
      return "PAUSE";
    case DesiredState::kCancel:
      return "CANCEL";
    case DesiredState::kRun:
      break;
  }
  return "RUN";
}

std::string row_checksum(const JobRow& row) {
  Sha256 sha256;
  for (const std::string* text : {&row.id, &row.state, &row.job, &row.desired}) sha256.add_text(*text);
  return byte_text(sha256.finish());
}

JobRows read_job_rows(Database& database, JobColumns columns) { return JobTableReader(database, columns).read(); }

std::string rename_aside(Database& database, const std::string& table) {
  std::string name;
  for (int number = 1; name.empty(); ++number) {
    const std::string wanted = "damaged_" + table + "_" + std::to_string(number);
    Statement taken(database, "SELECT 1 FROM sqlite_master WHERE name = ?");
    taken.begin(wanted);
    if (!taken.next()) name = wanted;
  }
  database.execute("ALTER TABLE " + table + " RENAME TO " + name);
  return name;
}

std::string replace_jobs_table(Database& database, const std::vector<JobRow>& rows, const std::string& create) {
  const std::string earlier = rename_aside(database, "jobs");
  database.execute(create);
  // No sequence is used twice, that of a deleted job neither.
  Statement(database, "INSERT INTO sqlite_sequence(name, seq) SELECT 'jobs', seq FROM sqlite_sequence WHERE name = ?")
      .run(earlier);
  Statement insert(database,
                   "INSERT OR IGNORE INTO jobs(sequence, id, state, job, desired, checksum) VALUES (?, ?, ?, ?, ?, ?)");
  for (const JobRow& row : rows) {
    insert.run(row.sequence, row.id, row.state, Blob{row.job}, row.desired, Blob{row.checksum});
  }
  return earlier;
}

}  // namespace equipoise::coordinator
