// Computes the group weights of a ledger's steps once more, from S_g and n_g, with the code that the coordinator and
// the ranks compute them with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/ledger/ledger_record.h"
#include "common/ledger/step_bytes.h"

namespace equipoise {

// The settings of a job that stands in a record, as YAML. Throws std::invalid_argument.
JobConfig config_of_job(const std::string& job);

// Not thread-safe.
class LedgerReplay {
 public:
  // Throws std::invalid_argument where settings and groups do not agree.
  LedgerReplay(const LedgerStart& start, const RobustConfig& config);

  // Throws std::invalid_argument where it is not the next step or its sums are none.
  void step(StoredStep step);
  // Steps without records of their own: the weights after them are those that the block says. Throws as step().
  void block(const LedgerBlock& block);
  // The weights after `steps_done` steps, in place of those that followed from the steps so far.
  void go_on_from(std::int64_t steps_done, const GroupWeightsState& weights);
  // Those that took effect after the last step: step_size and trade_off change the weights.
  void change(const LedgerSettings& settings);
  // Another job goes on with the run. Its trade_off is that of its own settings; eta_alpha comes with the checkpoint.
  void begin_job();

  std::int64_t steps_done() const { return steps_done_; }
  // After the last step.
  std::vector<double> alpha_K() const { return weights_->alpha_K(); }
  GroupWeightsState state() const { return weights_->state(); }
  // S_g / n_g of each group of the last step, NaN of one that it lacks or that was not finite.
  const std::vector<double>& mean_loss_K() const { return mean_loss_K_; }
  // Of the weights since the last call, as a seal has it.
  Digest take_weights_digest();

 private:
  std::optional<GroupWeights> weights_;
  double first_trade_off_ = 0;
  std::int64_t steps_done_;
  std::vector<double> mean_loss_K_;
  std::vector<double> weight_;
  Sha256 digest_;
};

}  // namespace equipoise
