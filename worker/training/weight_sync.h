// Where the group weights of a job's steps come from (robust.weight_sync): the coordinator, or this rank with the
// coordinator checking it.
#pragma once

#include <memory>
#include <vector>

#include "common/ledger/ledger_writer.h"
#include "common/robust/step_weights.h"
#include "worker/training/attempt.h"

namespace equipoise {

// step() throws what the coordinator's client and the collective throw.
class WeightSync : public StepWeights {
 public:
  // How many steps of the job are done whose alpha is known without waiting, and that alpha, of every group. Rank 0.
  virtual std::int64_t known_steps() const = 0;
  virtual std::vector<double> known_alpha_K() const = 0;
  // Returns when that is the last step. Rank 0. Throws as step().
  virtual void wait() {}
  // Returns when the coordinator has all steps that were reported, and no report is under way. Rank 0. Throws as
  // step().
  virtual void settle() { wait(); }
  // trade_off and step_size from the next step on. Every rank calls it between the same two steps, rank 0 after
  // settle(). Throws std::invalid_argument on a value out of its range.
  virtual void apply(const v1::TrainingJobSettings& settings) = 0;
  // Returns on every rank when all steps that were reported are applied and on record.
  virtual void finish() {}
  // Before the first step: each is written into it once the coordinator has answered it. It outlives this. Rank 0.
  virtual void record_into(LedgerWriter& ledger) = 0;
};

// Rank 0 waits for the coordinator's answer in every step and hands it to the others. Where the weights do not depend
// on the step's losses (weights_precede_losses) it goes on meanwhile, and waits for the answer in the next step, once
// its losses are there. All that is passed outlives it. Throws PeerError where an answer is not of the step's groups,
// std::runtime_error where its weights differ in a bit from those a step has gone on with.
//   alpha_K  before step `first_step`
std::unique_ptr<WeightSync> coordinator_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    HostCollective& host, const RobustSettings& settings,
                                                    std::vector<double> alpha_K, std::int64_t first_step);

// Every rank computes the update itself and waits for nobody; rank 0 reports the steps meanwhile. step() throws what an
// earlier report failed with; std::runtime_error where the coordinator's weights differ in a bit. weights: before step
// `first_step`, as the coordinator has them.
std::unique_ptr<WeightSync> speculative_weight_sync(CoordinatorClient& client, const AttemptId& attempt,
                                                    HostCollective& host, GroupWeights weights,
                                                    std::int64_t first_step);

// The weights before the first step, as the coordinator said at the start.
GroupWeights started_weights(const RobustConfig& config, const GroupedData& data, const StartedTraining& started);

// As the job's robust.weight_sync says, from what the coordinator said at the start. `config` and `data` are the job's.
std::unique_ptr<WeightSync> make_weight_sync(CoordinatorClient& client, const AttemptId& attempt, HostCollective& host,
                                             const RobustConfig& config, const GroupedData& data,
                                             const StartedTraining& started);

}  // namespace equipoise
