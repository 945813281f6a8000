// The line of steps of a job over its attempts: where the next attempt may begin, and with which weights, so that every
// step of the line is applied to alpha exactly once.
//
//   attempt 1   0 ─────────────► 150
//   attempt 2        100 ──────────────► 210      from the checkpoint of step 100: steps 100 to 149 of attempt 1 are no
//                                                 longer of the line
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "coordinator/store/job_store.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// Steps [first, end) of one attempt that are of the line; none where it ended before its first one.
struct LineageSegment {
  std::int64_t generation = 0;
  std::int64_t first = 0;
  std::int64_t end = 0;
};

// Of every attempt that started training, oldest first; each step stands in one of them.
std::vector<LineageSegment> lineage_of(JobStore& store, const std::string& job_id);

// Both: whether an attempt of `job` that asks this may start. `request` is checked, and begin_training() takes it.
// Throw Refusal kFailedPrecondition.

// Where an earlier attempt had other data.
void check_same_data(JobStore& store, const v1::TrainingJob& job, const v1::StartTrainingRequest& request);

// Where the weights of the checkpoint are not, bit for bit, those on record after the same steps, or the record ends
// earlier; where the checkpoint is said to be of an attempt that the job has not had; and where the job has a
// checkpoint, but the attempt begins before all that is on record.
void check_lineage(JobStore& store, const JobConfig& config, const v1::TrainingJob& job,
                   const v1::StartTrainingRequest& request);

}  // namespace equipoise::coordinator
