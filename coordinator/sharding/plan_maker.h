// How many steps a job takes, and the few numbers from which every rank derives who trains on what.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/config/job_config.h"
#include "common/dataset/shard_plan.h"

namespace equipoise::coordinator {

struct DatasetSize {
  std::int64_t num_pairs = 0;  // N > 0
  std::size_t num_groups = 1;  // K > 0, for training.sampling automatic
};

// B: pairs of one step; all of them with full_batch.
std::int64_t global_batch_size(const TrainingConfig& training, DatasetSize dataset);

// Optimiser steps of the whole job: max_steps; or, with E epochs, floor(E) * ceil(N/B) for the whole ones and
// ceil((E - floor(E)) * N / B) for the rest, as an epoch's last batch is not filled up from the next epoch.
// Throws std::invalid_argument when that is more than 10^12.
std::int64_t planned_steps(const TrainingConfig& training, DatasetSize dataset);

// The plan from step 0 to the end.
ShardPlan make_shard_plan(const JobConfig& job, DatasetSize dataset, int world_size);

// Pairs trained on when steps [0, step) are done.
std::int64_t pairs_done(const ShardPlan& plan, std::int64_t step);

}  // namespace equipoise::coordinator
