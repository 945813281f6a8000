// The checkpoint that a run goes on from: found and checked by rank 0, read by all ranks.
#pragma once

#include <spdlog/logger.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/checkpoint/checkpoint_folder.h"
#include "common/checkpoint/checkpoint_manifest.h"
#include "common/collective/host_collective.h"
#include "common/config/job_config.h"
#include "common/huggingface/safetensors.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Whose run it is that looks for one.
struct CheckpointOwner {
  std::string job_id;
  std::int64_t generation = 0;
  bool is_fork = false;
};

struct FoundCheckpoint {
  std::filesystem::path folder;
  CheckpointManifest manifest;
};

// The newest whole checkpoint that the run is to go on from; nothing: it starts from the beginning. An attempt after
// the first one goes on from its own job's; the first one as training.resume_from_checkpoint says. A checkpoint that is
// damaged is told to the log, and an older one taken. Every byte of the one that is returned has been read.
// Throws std::invalid_argument where none of those that are there is whole, the one that is named is not whole, or the
// job's settings are not those it was made with.
//   resolved     the job with every default filled in
//   on_progress  percent of a checkpoint that has been read
std::optional<FoundCheckpoint> find_checkpoint(const JobConfig& config, const v1::JobSpec& resolved,
                                               const CheckpointOwner& owner, spdlog::logger& log,
                                               const std::function<void(int)>& on_progress);

// Tensors go from rank 0, which alone has the files, to all. Not thread-safe.
class CheckpointReader {
 public:
  // All ranks make it together; `found` is rank 0's. `host` outlives it.
  CheckpointReader(const std::optional<FoundCheckpoint>& found, HostCollective& host);

  const CheckpointManifest& manifest() const { return manifest_; }
  // The bytes of a tensor of `part` into `bytes` on every rank, which call it for the same tensors in the same order.
  //   wanted  its name, type and shape
  // Throws std::invalid_argument on rank 0 where there is none of this name, type and shape.
  void read(const std::string& part, const TensorView& wanted, std::span<std::byte> bytes) const;

 private:
  const TensorView& find(const std::string& part, const TensorView& wanted) const;

  HostCollective& host_;
  std::filesystem::path folder_;
  CheckpointManifest manifest_;
  std::multimap<std::string, SafetensorsFile> files_;  // by part; rank 0
};

}  // namespace equipoise
