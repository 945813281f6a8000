// The owner of a job's alpha. A step is applied in three moves, so that no crash can lose or double it:
// prepare() computes and changes nothing; the caller commits the record to disk; accept() makes it the state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/robust/group_weights.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// One optimiser step as rank 0 reports it, checked, and the digest by which a repeated report is recognised.
struct StepReport {
  GroupSums sums;                               // loss_sum is 0 where the group's loss was not finite
  std::vector<std::uint32_t> non_finite_group;  // ascending; empty: the step is applied, else it is skipped
};

// Throws std::invalid_argument naming the field, the group by its name, the value and what would be right.
StepReport check_step_report(const v1::ReportStepRequest& request, const std::vector<std::string>& group_names);

// SHA-256, 32 bytes, over the step and every number of the report, bit by bit.
std::string step_digest(const v1::ReportStepRequest& request);

// One step: key (job, generation, step). On disk are the report and the two digests; the answer and the weights follow
// from the ones before, and so from the newest state on record: WeightOwner::replay().
struct StepRecord {
  v1::ReportStepRequest request;     // as it came, without the job's id
  std::string digest;                // step_digest(request)
  std::vector<double> weight;        // the answer: w_g of each group of the request, in its order
  std::vector<double> log_alpha_K;   // [K] after the step
  std::vector<double> group_loss_K;  // [K] after the step, NaN where unknown; empty where alpha is not a closed form
  std::string result_digest = {};    // of the answer and all that the next step depends on, 16 bytes
  std::string state = {};            // a v1::WeightState after the step, where one is to be stored; mostly empty
};

struct GroupTable {
  std::vector<std::string> names;    // [K]
  std::vector<double> pair_count_K;  // [K]  N_g > 0
};

// Settings that were changed between two steps. Absent: as before.
struct WeightChange {
  std::int64_t steps_done = 0;
  std::optional<double> trade_off = {};
  std::optional<double> step_size = {};  // eta_alpha
};

// A state is stored every 16 to 256 steps: as soon as the steps since the one before take four times its bytes. So it
// is a fifth of what is stored or less, but for jobs of thousands of groups, and a replay is some milliseconds.
inline constexpr std::int64_t kFewestReplayedSteps = 16;
inline constexpr std::int64_t kMostReplayedSteps = 256;

// Not thread-safe.
class WeightOwner {
 public:
  // num_pairs is N, of the population that groups.pair_count_K are sizes in: common/config/group_settings.h.
  // alpha starts and moves, and eta_alpha shrinks, as common/robust/group_weights.h says. Throws std::invalid_argument
  // where settings and groups do not agree.
  WeightOwner(RobustSettings settings, GroupTable groups, double num_pairs);

  // Each is applied right before the step that follows its steps_done others, in whichever order steps are done, done
  // again or read from disk: the weights after a step are the same whether or not a change that follows it is known.
  //   changes  ascending steps_done, each once; those that prepare() takes values of
  // Throws std::invalid_argument on a value out of its range; nothing is changed then.
  void set_changes(std::vector<WeightChange> changes);

  // Applies the request to a copy. A skipped step leaves alpha and answers the weights that it gives.
  // Throws std::invalid_argument, as check_step_report does, and where the record could not be read back.
  StepRecord prepare(const v1::ReportStepRequest& request) const;
  // `record` is prepare()'s, or read from disk in order of step.
  void accept(const StepRecord& record);
  // Why accept() would not take a record that was read from disk, in one sentence; empty where it would.
  std::string record_fault(const StepRecord& record) const;

  // All that the steps from next_step() on depend on, and going on from it, bit by bit. restore() throws
  // std::invalid_argument where it is not of these groups and settings; nothing is changed then.
  v1::WeightState state() const;
  void restore(const v1::WeightState& state);

  // The step next_step() once more, as it is on record: advance() makes it the state, replay() says also what was
  // answered and how the weights were after it. Throw std::invalid_argument where the report is none; replay() also
  // where these weights have other bits than those on record: the record is damaged, or another machine's or program's
  // exp() and log() made it. The owner is of no use then.
  void advance(const v1::ReportStepRequest& request);
  StepRecord replay(StepRecord record);

  std::int64_t next_step() const { return next_step_; }
  std::vector<double> alpha_K() const { return weights_.alpha_K(); }
  const std::vector<double>& log_alpha_K() const { return weights_.log_alpha_K(); }
  // Newest loss of each group, NaN where unknown; empty where alpha is not a closed form.
  const std::vector<double>& group_loss_K() const { return weights_.group_loss_K(); }
  const GroupTable& groups() const { return groups_; }
  // alpha as it was when log alpha was this.
  std::vector<double> alpha_at(const std::vector<double>& log_alpha_K) const;

 private:
  bool is_state_due(const v1::ReportStepRequest& request) const;
  void move_past(const StepRecord& record);
  double trade_off_before(std::int64_t step) const;
  void apply_changes(std::int64_t step, GroupWeights& weights) const;

  GroupTable groups_;
  double first_trade_off_;
  GroupWeights weights_;
  std::vector<WeightChange> changes_;
  std::int64_t next_step_ = 0;
  // Since the newest state on record.
  std::int64_t steps_to_replay_ = 0;
  std::size_t bytes_to_replay_ = 0;
};

}  // namespace equipoise::coordinator
