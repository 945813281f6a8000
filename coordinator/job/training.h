// A job's training once its data is known: the groups, the plan and the weights.
#pragma once

#include <cstdint>
#include <optional>

#include "common/config/job_config.h"
#include "common/dataset/shard_plan.h"
#include "common/protocol/live_settings.h"
#include "coordinator/membership/training_pace.h"
#include "coordinator/store/job_store.h"
#include "coordinator/weights/weight_owner.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// What a started training needs at every step.
struct Training {
  ShardPlan plan;
  WeightOwner weights;
  StoredTraining stored;                                      // StartTraining as it was asked and answered
  std::optional<v1::EarlyStop> stopped_early = std::nullopt;  // as the first rank said that finished early
  std::string ledger_chain = {};                              // as rank 0 said that finished; empty: not yet, or none
  TrainingPace pace = {};
  std::int64_t skipped_steps = 0;   // as the last rank said that finished
  std::int64_t schedule_steps = 0;  // where the plan ends without changes of max_steps

  // One past the last step: where the plan ends, or where it has ended early.
  std::int64_t end_step() const { return stopped_early ? weights.next_step() : plan.end_step; }
};

// Throws std::invalid_argument naming the field, the value and what would be right: names that are empty, over 256
// bytes or given twice, more than 4096 groups, counts that are not positive, a digest that is not 32 bytes, a
// checkpoint without an origin or with weights of other groups.
void check_start_training(const v1::StartTrainingRequest& request);

// The weights before the first step. `request` is checked. Throws std::invalid_argument where the job and its groups do
// not agree.
WeightOwner weight_owner_for(const JobConfig& config, const v1::StartTrainingRequest& request);

// From step 0, or from where the checkpoint of `request` ends, with the weights that it has. `request` is checked.
//   changes  of settings, with all that have taken effect
// Throws std::invalid_argument as weight_owner_for, and where the checkpoint ends after the plan or its weights are
// none.
Training begin_training(const JobConfig& config, const v1::StartTrainingRequest& request, int world_size,
                        const SettingsChanges& changes = {});

}  // namespace equipoise::coordinator
