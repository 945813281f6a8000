// The folder a run writes into: rank 0's alone, from before data are read until its model is whole.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <system_error>

#include "common/base/output_lock.h"
#include "common/config/job_config.h"
#include "common/dataset/shard_plan.h"
#include "equipoise/v1/job.pb.h"
#include "worker/training/checkpoint_reader.h"

namespace equipoise {

// Not thread-safe.
class RunOutput {
 public:
  // Takes the folder, which is made if it is not there, and changes nothing in it. Throws std::invalid_argument if
  // config.output cannot be a run's folder (common/config/output_check.h) or is another run's now
  // (common/base/output_lock.h). What an earlier attempt of the same job left is no other run. `config` outlives it.
  RunOutput(const JobConfig& config, const std::string& job_id);

  // Writes job.yaml, every default of `spec` and the sampling of `plan` filled in. Removes what an earlier run left
  // there; its final/ is kept as final.previous/ until discard_previous(). Throws std::invalid_argument if the folder
  // cannot be written.
  void prepare(const v1::JobSpec& spec, const ShardPlan& plan);
  // The same for a run that goes on from a checkpoint, of this output or of another one's: what belongs to the steps
  // before stays. metrics.jsonl has the lines and the ledger the records up to the checkpoint; one that is not as the
  // checkpoint knew it is kept beside, and a new one begins.
  struct Beginnings {
    // Where the file is kept beside, or what was to be there: why a new one begins. Empty: it is there.
    std::string metrics, ledger;
  };
  Beginnings prepare(const v1::JobSpec& spec, const ShardPlan& plan, const FoundCheckpoint& checkpoint);
  // Once the coordinator has agreed that the run goes on from there: no later attempt may take a checkpoint of the
  // steps that it goes back over, which are then of another line. They are renamed.
  void abandon_later_checkpoints(const FoundCheckpoint& checkpoint) const;
  // From now on the file has to stay where it is. Throws std::runtime_error if it is not there.
  void watch(const std::string& name);
  // Throws std::runtime_error if the folder, job.yaml or a watched file was deleted or replaced. Looks at most once a
  // second, so that steps may ask.
  void check();
  void check_now();
  // The new final/ is whole: the one before it may go.
  void discard_previous();

 private:
  struct Identity {
    dev_t device;
    ino_t file;
    auto operator<=>(const Identity&) const = default;
  };
  static Identity identity_of(const std::filesystem::path& file);
  void put_final_aside(std::error_code& error) const;
  void write_job(const v1::JobSpec& spec, const ShardPlan& plan);
  bool holds(const FoundCheckpoint& checkpoint) const;
  std::string prepare_beginning(const char* name, std::int64_t bytes, const FoundCheckpoint& checkpoint,
                                const std::function<bool(const std::filesystem::path&)>& is_as_known) const;

  const JobConfig& config_;
  const std::string job_id_;
  OutputLock lock_;
  std::map<std::string, Identity> watched_;
  std::chrono::steady_clock::time_point checked_at_;
};

}  // namespace equipoise
