// Where a step's group weights come from. One interface; every rank has one, and all call it for the same steps.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/log_linear/step_schedule.h"
#include "common/robust/group_weights.h"
#include "worker/train/attempt.h"

namespace equipoise {

// One step as it is told to the owner of alpha.
struct ReportedStep {
  std::int64_t step = 0;
  const GroupSums& sums;                           // of the global batch, the same on every rank
  std::span<const std::uint32_t> non_finite = {};  // groups whose loss or gradient is not finite: alpha must stay
};

class WeightSync {
 public:
  virtual ~WeightSync() = default;
  // w_g of each group in the sums, in its order. Throws what the coordinator's client and the collective throw.
  virtual void step(const ReportedStep& report, std::span<double> weight) = 0;
  // alpha after the last step. Rank 0 only.
  virtual std::vector<double> alpha_K() = 0;
  // Returns on every rank when all steps that were reported are applied and on record.
  virtual void finish() {}
};

// Rank 0 waits for the coordinator's answer in every step and hands it to the others. All that is passed outlives it.
std::unique_ptr<WeightSync> coordinator_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    Collective& host);

// The weights before the first step, as the coordinator has them.
struct StartingWeights {
  GroupWeights weights;
  log_linear::StepSchedule step_size;  // eta_alpha
};

// Every rank computes the update itself and waits for nobody; rank 0 reports the steps meanwhile. step() throws what an
// earlier report failed with; std::runtime_error where the coordinator's weights differ in a bit.
std::unique_ptr<WeightSync> speculative_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    Collective& host, StartingWeights start);

}  // namespace equipoise
