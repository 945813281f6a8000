// Which settings of a job may be others than those of the job that made the checkpoint it goes on from.
#pragma once

#include <cstdint>

#include "common/config/job_config.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// kOwn: the run goes on as it was. kFork: a fork begins with it.
enum class CheckpointUse { kOwn, kFork };

// The settings that a run may have another value for are those that no number of a step depends on, where files stand
// (their content is compared), and how long it trains; of a fork also those for which everything in a checkpoint means
// the same, such as step sizes and loss.beta. Throws std::invalid_argument naming the first other setting that differs.
//   now, before  the jobs, every default filled in (resolve_defaults())
//   step         of the checkpoint, for the message
void check_same_settings(const v1::JobSpec& now, const v1::JobSpec& before, std::int64_t step, CheckpointUse use);

// Throws std::invalid_argument where a job that begins with a checkpoint of `step` would end before it.
void check_end_after(std::int64_t step, const JobConfig& config);

}  // namespace equipoise
