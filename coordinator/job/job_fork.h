// A job that begins with a checkpoint of another one, which goes on.
// docs/decisions/0017-settings-that-change-while-a-job-runs.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/config/job_config.h"
#include "coordinator/job/job_table.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

struct ForkOrigin {
  std::string job_id;
  std::int64_t step = 0;                // steps done at the checkpoint
  v1::TrainingJobSettings to_set = {};  // what the checkpoint's state has another value of
};

// Of a checkpoint of `parent`, which the store has on record. Throws Refusal: kNotFound where it has none of `step`,
// kFailedPrecondition where it has none at all.
//   step  absent: the newest
std::int64_t checkpoint_to_fork(JobStore& store, const v1::TrainingJob& parent, std::optional<std::int64_t> step);

// Throws std::invalid_argument where the fork has another model, policy or data than its parent, another setting that
// the ranks would refuse (check_same_settings()), or ends before it begins.
//   config  of the fork
//   step    of the checkpoint
void check_fork_settings(const JobRecord& parent, const v1::JobSpec& fork, const JobConfig& config, std::int64_t step);

// Where `config` asks for another eta_alpha or learning rate than the parent had before that step: their states are in
// the checkpoint.
v1::TrainingJobSettings settings_of_fork(const JobRecord& parent, std::int64_t step, const JobConfig& config);

// A second name for every file of the checkpoint of `output`, in OUTPUT/fork-NAME/step-STEP: whatever the ranks of the
// job remove, it stays. Whole and on disk when it returns. Throws Refusal kFailedPrecondition, and leaves nothing,
// where the checkpoint is not there (any more) or the file system has no second names.
std::filesystem::path link_checkpoint(const std::filesystem::path& output, std::int64_t step, const std::string& name);

// Those that link_checkpoint() made for the job of `config`, if any are left. Throws nothing.
void remove_links(const JobConfig& config);

// Those in `output` that no job of `jobs` begins with: a coordinator was killed between their making and the job's.
// Throws nothing.
void remove_unused_links(const std::filesystem::path& output, const JobTable::Jobs& jobs);

}  // namespace equipoise::coordinator
