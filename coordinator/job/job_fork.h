// A job that begins with a checkpoint of another one, which goes on.
// docs/decisions/0017-settings-that-change-while-a-job-runs.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "common/config/job_config.h"
#include "coordinator/job/file_errands.h"
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

// Second names for a checkpoint's files, for a job that begins with it.
struct CheckpointLinks {
  std::filesystem::path output;  // of the job whose checkpoint it is
  std::int64_t step = 0;
  std::string name;                          // eight hexadecimal digits
  std::filesystem::path folder() const;      // OUTPUT/fork-NAME
  std::filesystem::path checkpoint() const;  // OUTPUT/fork-NAME/step-STEP
};

// These two work on files, as long as their file system takes, and may be called from any thread.

// A second name for every file of the checkpoint, or a copy where its file system has none: whatever the ranks of the
// job remove, it stays. Whole and on disk when it returns. Throws Refusal kFailedPrecondition, and leaves nothing,
// where the checkpoint is not there (any more) or cannot be read, or the disk is full.
void link_checkpoint(const CheckpointLinks& links);
// Those that link_checkpoint() made in `folder`, if any are left. Throws nothing.
void remove_links(const std::filesystem::path& folder);

// The names that a coordinator has drawn for links. May be used from any thread.
class DrawnNames {
 public:
  void add(const std::string& name);
  bool has(const std::string& name) const;

 private:
  mutable std::mutex mutex_;  // guards the one below
  std::set<std::string> names_;
};

// These remove links by and by. What a coordinator that ends leaves of them, the next one removes.

// Those that link_checkpoint() made for the job of `config`.
void remove_links(FileErrands& errands, const JobConfig& config);
// Those in `output` that no job of `jobs` begins with: an earlier coordinator was killed between their making and the
// job's, or before they were removed.
//   drawn  names of this coordinator: some of jobs that are not in `jobs` yet
void remove_unused_links(FileErrands& errands, const std::filesystem::path& output, const JobTable::Jobs& jobs,
                         const std::shared_ptr<const DrawnNames>& drawn);

}  // namespace equipoise::coordinator
