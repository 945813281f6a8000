// A job's steps with their answers and weights, replayed from the newest state on record: 256 steps at most.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/protocol/live_settings.h"
#include "coordinator/store/job_store.h"
#include "coordinator/weights/weight_owner.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// How much of the steps of one job is kept in full, unless told otherwise.
inline constexpr std::int64_t kMostHistoryBytes = std::int64_t{1} << 30;

// Steps of one attempt that are asked for in their order are replayed once. Throws StoreError of kDamaged where what is
// on record is missing or gives other weights than it did. All arguments outlive it. Not thread-safe.
class StepHistory {
 public:
  //   changes  of the job's settings: TrainingJob.settings_changes
  StepHistory(JobStore& store, const JobConfig& config, std::string job_id, const SettingsChanges& changes);

  // As WeightOwner::prepare() made it. None that is not on record, or below the thinned end of the history.
  std::optional<StepRecord> step(std::int64_t generation, std::int64_t step);
  // A record of the lineage as the store gives it, with the weights after it. That of a thinned step has no answer.
  StepRecord whole(StepRecord record);
  // The weights of an attempt after `steps` steps: with them the next step gives the same bits.
  v1::WeightState weights_after(std::int64_t generation, std::int64_t steps);
  // alpha after a step whose record is whole.
  std::vector<double> alpha_after(const StepRecord& record);

 private:
  struct Attempt {
    WeightOwner at_start;
    WeightOwner now;  // somewhere on the way
  };
  Attempt& attempt(std::int64_t generation);
  // Before step `step` of the attempt.
  WeightOwner& owner_before(std::int64_t generation, std::int64_t step);
  [[noreturn]] void fail(const std::string& what) const;

  JobStore& store_;
  const JobConfig& config_;
  const std::string job_id_;
  const std::vector<WeightChange> changes_;
  const HistoryExtent extent_;
  std::map<std::int64_t, Attempt> attempts_;
};

}  // namespace equipoise::coordinator
