// pair_shares.bin of a run, as rank 0 keeps it: which pairs moved the group weights (common/robust/shares_file.h).
#pragma once

#include <spdlog/logger.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/config/job_config.h"
#include "common/robust/shares_file.h"
#include "worker/training/trained_policy.h"
#include "worker/training/weight_sync.h"

namespace equipoise {

// Whether a job of such a policy keeps them: its group weights move, and logging.pair_shares_mib leaves room.
bool keeps_pair_shares(const JobConfig& config);

// No training ends because of it: where the disk refuses, the log has a warning and nothing more is written. On a full
// one it waits, as long as `patience` says.
class RunShares {
 public:
  // Goes on behind the steps that `weights` knows. All but `data` outlive it.
  RunShares(const JobConfig& config, const TrainedPolicy& policy, const WeightSync& weights, spdlog::logger& log,
            const DiskPatience& patience);

  // After each step, in order: its shares wait until alpha after it is known.
  void step_done(std::int64_t steps_done, std::vector<GroupShares> groups);
  // Whoever goes on from here finds all steps whose alpha is known: before a checkpoint, after WeightSync::settle().
  void write();

 private:
  void take_known();
  template <class Use>
  void guarded(const Use& use);

  const WeightSync& weights_;
  spdlog::logger& log_;
  std::optional<SharesWriter> writer_;  // none once the disk has refused
  std::vector<double> alpha_K_;         // after the last step that is written
  struct Waiting {
    std::int64_t step;
    std::vector<GroupShares> groups;
  };
  std::deque<Waiting> waiting_;  // one at most, with weights that do not wait for losses
};

}  // namespace equipoise
