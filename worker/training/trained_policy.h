// A policy that a job trains, as the training loop (training_run.h) sees it: a language model or a log-linear one.
#pragma once

#include <spdlog/logger.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/sha256.h"
#include "common/checkpoint/checkpoint_manifest.h"
#include "common/dataset/shard_plan.h"
#include "common/huggingface/safetensors.h"
#include "common/robust/estimator.h"
#include "common/robust/pair_shares.h"
#include "common/robust/step_weights.h"
#include "worker/training/checkpoint_reader.h"
#include "worker/training/metrics_fields.h"

namespace equipoise {

// The training data by groups, as coordinator and weights need them.
struct GroupedData {
  std::span<const std::string> group_names;  // [K], in the order of their ids
  GroupSizes counted;                        // N_g > 0 and N as counted in the data
  GroupSizes population;                     // by data.group_counts where the job gives them, else as counted
  Digest digest{};
  std::span<const double> label_floor_K = {};          // [K] with robust.baseline label_entropy, else empty
  std::span<const double> baseline_K = {};             // b_g for excess losses, NaN: none; empty without a baseline
  std::span<const std::string> validation_names = {};  // its first names are group_names
  std::span<const double> validation_baseline_K = {};  // as baseline_K, by validation_names
};

// Means over the pairs of one group, of those in a batch or of all validation pairs.
struct GroupMeans {
  std::uint32_t group = 0;
  double loss = 0;
  double pair_count = 0;           // n_g > 0
  std::optional<double> accuracy;  // share of pairs whose chosen reward is above the rejected one
};

struct PhaseSeconds {
  std::string_view phase;  // a literal
  double seconds = 0;
};

// What every step says, whether or not a line is written of it.
struct StepOutcome {
  bool is_loss_finite = true;  // of every group
  bool is_skipped = false;     // a loss or the gradient was not finite: no parameter has changed
  double pairs = 0;            // of the global batch
  double tokens = 0;           // that were processed
  double sequence_tokens = 0;  // prompt and answer of each sequence, TRL's num_tokens
  std::vector<PhaseSeconds> phases = {};
};

// What the line of a step, or the message to the coordinator, has besides.
struct StepNumbers {
  double loss = 0;  // sum_g w_g L_g, or the batch's mean (mode none): the value whose gradient was taken
  std::optional<double> loss_error;
  double grad_norm = 0;  // before clipping
  double learning_rate = 0;
  std::vector<GroupMeans> groups;  // of the batch
  MetricsFields further;           // what only such a policy has
};

// Means over all validation pairs, or over those of one file.
struct ValidationMeans {
  std::string file;  // its name; empty: all pairs
  double loss = 0;
  std::optional<double> loss_error;
  double pairs = 0;
  std::vector<GroupMeans> groups;  // those that have pairs
  MetricsFields further;
};

// Which part of the tensors a rank writes: every `count`-th or so.
struct CheckpointShare {
  int index = 0;
  int count = 1;
};

// Tensors of a checkpoint, copies in host memory. Each part has files of its own.
struct CheckpointPart {
  std::string name;        // "model", "optimizer": of the files
  bool is_sharded = true;  // each share has some of the tensors; else the first share has all
  std::vector<TensorView> tensors;
};
struct PolicySnapshot {
  std::vector<CheckpointPart> parts;
  std::vector<std::shared_ptr<const void>> memory;  // that the views are of
};

// Made from its job's files and settings, on every rank. Those called on rank 0 alone say so; all ranks call the
// others, in the same order, and these throw what the collectives do. Not thread-safe.
class TrainedPolicy {
 public:
  virtual ~TrainedPolicy() = default;

  virtual const GroupedData& data() const = 0;
  // Names what a user should know of data and settings before the training. Rank 0.
  virtual void announce(spdlog::logger& log) const = 0;
  // Probability that a batch lacks the group, [K] (group_absence.h).
  virtual std::vector<double> absence_K() const = 0;
  // What evaluate() will return, with numbers that mean nothing; empty without validation pairs.
  virtual std::vector<ValidationMeans> expected_evaluation() const = 0;
  // Throws std::invalid_argument where a rank has read other validation data, model or adapter than rank 0.
  virtual void check_same_on_all_ranks() = 0;

  // Once, before the first step: what the steps of `plan` need besides, as the reference's log-probabilities. The
  // learning rate's schedule ends with it; there may be more steps, or fewer, all the same. `plan`
  // is not used after save(). Throws std::invalid_argument for what turns out to be wrong with the input.
  virtual void start(const ShardPlan& plan) = 0;
  // Writes what was read of each file as JSON; false where there is nothing to say. Rank 0.
  virtual bool write_data_report(const std::filesystem::path& file) const = 0;

  // After at most so many steps ranks talk about what is none of a step: whether to make a checkpoint, or to leave.
  // Many where steps may be short.
  virtual std::int64_t most_steps_between_talks() const { return 1; }

  // One step of the optimiser, with the group weights that `weights` gives for the sums of its batch.
  virtual StepOutcome step(std::int64_t step, StepWeights& weights) = 0;
  // Of the last step. Rank 0.
  virtual StepNumbers last_step() const = 0;
  virtual double epochs_done(std::int64_t steps_done) const = 0;

  // Over the validation pairs: all of them, then each file's where data.validation_files names several.
  virtual std::vector<ValidationMeans> evaluate() = 0;
  // The largest group loss of an evaluation, for the learning rate's schedule `plateau`; the same on every rank.
  virtual void observe_evaluation(double worst_group_loss) = 0;
  // In place of the job's, from the next step on: its schedule goes on with it. Every rank calls it.
  virtual void set_learning_rate(double learning_rate) = 0;
  // These are the parameters to save, unless it is called again. Rank 0.
  virtual void keep() = 0;

  // A rank's share of all that the steps after the last one depend on, copied, so that the next step may begin.
  virtual PolicySnapshot snapshot(CheckpointShare share) const = 0;
  // What of it is no tensor. Rank 0.
  virtual CheckpointJson checkpoint_state() const = 0;
  // The files that make a checkpoint's folder one that programs load: configuration and tokenizer. May be called from
  // another thread, while steps go on. Rank 0.
  virtual void write_companions(const std::filesystem::path& folder) const = 0;
  // After start(): goes on from a checkpoint, bit by bit. Throws std::invalid_argument where it is of another policy.
  virtual void restore(const CheckpointReader& checkpoint) = 0;

  // Of what is trained: the same on every rank, or the ranks have drifted apart.
  virtual Digest state_digest() const = 0;
  // Writes the trained policy into `folder`, whole or not at all. Rank 0.
  virtual void save(const std::filesystem::path& folder, std::span<const double> alpha_K) = 0;
  // The line of a test with data.test; none without. Rank 0.
  virtual std::optional<MetricsFields> test() const = 0;

  // The training files as the job names them, which the shares of pairs count; empty: the policy has no shares.
  virtual std::vector<std::string> share_files() const { return {}; }
  // Which pairs the loss sums of the last step came from, by group, ascending, without step and alpha. Where
  // keeps_pair_shares() (run_shares.h). Rank 0.
  virtual std::vector<GroupShares> last_shares() const { return {}; }
};

}  // namespace equipoise
