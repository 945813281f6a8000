// The folder a run writes into: rank 0's alone, from before data are read until its model is whole.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>

#include "common/base/output_lock.h"
#include "common/config/job_config.h"
#include "common/dataset/shard_plan.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Not thread-safe.
class RunOutput {
 public:
  // Takes the folder, which is made if it is not there, and changes nothing in it. Throws std::invalid_argument if
  // config.output cannot be a run's folder (common/config/output_check.h) or is another run's now
  // (common/base/output_lock.h). `config` outlives it.
  RunOutput(const JobConfig& config, const std::string& job_id);

  // Writes job.yaml, every default of `spec` and the sampling of `plan` filled in. Removes what an earlier run left
  // there; its final/ is kept as final.previous/ until discard_previous(). Throws std::invalid_argument if the folder
  // cannot be written.
  void prepare(const v1::JobSpec& spec, const ShardPlan& plan);
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

  const JobConfig& config_;
  OutputLock lock_;
  std::map<std::string, Identity> watched_;
  std::chrono::steady_clock::time_point checked_at_;
};

}  // namespace equipoise
