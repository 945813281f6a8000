// The steps of all jobs as they are stored: compact, with a state of the weights every 16 to 256 steps, and thinned
// where a job has more of them than it may keep.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coordinator/store/database.h"
#include "coordinator/weights/weight_owner.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// Where a step stands: the key of its record.
struct StepKey {
  std::string job_id;
  std::int64_t generation = 0;
  std::int64_t step = 0;
};

// Of the steps of an attempt: without gaps `count` is last - first + 1.
struct StepRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t count = 0;  // 0: none
};

struct PageLimit {
  std::int64_t rows = 0;
  std::size_t bytes = 0;
};

// What is kept of a job's history. Below `thinned_end` about one step in `spacing` stays, each with the state after it.
struct HistoryExtent {
  std::int64_t bytes = 0;  // of the steps and states, about
  std::int64_t thinned_end = 0;
  std::int64_t spacing = 1;
  std::int64_t next_step = 0;  // where thinning to `spacing` goes on
};

// Part of JobStore, and described there. A record that is read has no weight, log_alpha_K and group_loss_K, but for
// those of programs before this format, which have them and no result_digest.
class StepRows {
 public:
  explicit StepRows(Database& database);

  void insert(const std::string& job_id, std::int64_t generation, std::span<const StepRecord> records);
  std::optional<StepRecord> step(const StepKey& key);
  // Of those from `first` to `last`, both inclusive.
  StepRange range(const std::string& job_id, std::int64_t generation, std::int64_t first, std::int64_t last);
  std::optional<StepRecord> last(const std::string& job_id, std::int64_t generation);
  // [first, end) of one attempt, as many as there are.
  std::vector<StepRecord> between(const std::string& job_id, std::int64_t generation, std::int64_t first,
                                  std::int64_t end);
  // The newest state of an attempt after at most `steps` steps; none before the first that was stored.
  // The newest step from `first` on; reads nothing before it.
  std::optional<std::int64_t> last_number(const std::string& job_id, std::int64_t generation, std::int64_t first);
  std::optional<v1::WeightState> state(const std::string& job_id, std::int64_t generation, std::int64_t steps);

  std::vector<StepRecord> lineage(const std::string& job_id, std::int64_t first, PageLimit limit);
  std::optional<StepRecord> lineage_step(const std::string& job_id, std::int64_t step);

  HistoryExtent extent(const std::string& job_id);
  // Thins the oldest steps below `keep_from` that can still be thinned, a thousand or so. False where there are none.
  bool thin(const std::string& job_id, std::int64_t keep_from);
  // An attempt starts at `first_step`: what it does is whole, also where what was before has been thinned.
  void rewind(const std::string& job_id, std::int64_t first_step);
  void forget(const std::string& job_id);  // the job is deleted

 private:
  struct Kept {
    std::int64_t step;
    std::int64_t generation;
  };
  void insert_row(const StepKey& key, const StepRecord& record);
  HistoryExtent& known_extent(const std::string& job_id);
  void store_extent(const std::string& job_id, const HistoryExtent& extent);
  std::optional<std::int64_t> state_of_line(const std::string& job_id, const std::string& which, std::int64_t from,
                                            std::int64_t to);
  std::vector<Kept> kept_of(const std::string& job_id, const HistoryExtent& extent, std::int64_t end);
  std::int64_t bytes_between(const std::string& job_id, std::int64_t first, std::int64_t end);
  void remove_between(const std::string& job_id, std::int64_t first, std::int64_t end);

  Database& database_;
  Statement insert_, insert_state_, select_, select_range_, select_last_, select_last_number_, select_between_,
      select_state_;
  Statement select_lineage_, select_lineage_step_, select_extent_, store_extent_;
  std::map<std::string, HistoryExtent> extents_;  // as stored, and the bytes since the newest state
};

}  // namespace equipoise::coordinator
