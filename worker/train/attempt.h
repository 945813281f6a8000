// One rank's part in one attempt of a job, as the coordinator granted it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/config/job_config.h"
#include "common/dataset/shard_plan.h"
#include "worker/client/coordinator_client.h"
#include "worker/client/heartbeat.h"
#include "worker/collective/collective.h"
#include "worker/collective/same_on_all_ranks.h"
#include "worker/train/step.h"
#include "worker/train/training_data.h"

namespace equipoise {

struct Registration {
  AttemptId attempt;
  v1::JobSpec spec;
};

struct RankPlace {
  RankInfo info;
  std::string device;  // "cpu", "cuda"
};

// Rank 0 registers first and hands its generation to the others, which then register with it.
Registration register_rank(CoordinatorClient& client, const std::string& job_id, const RankPlace& place,
                           Collective& host);

// What the coordinator is told of the training data.
struct DatasetSummary {
  std::span<const std::string> group_names;  // [K], in the order of their ids
  std::span<const double> pair_count_K;      // N_g > 0 as counted, whatever data.group_counts says
  std::int64_t num_pairs = 0;                // N
  std::array<std::byte, 32> digest{};
  std::span<const double> label_floor_K = {};  // [K] with robust.baseline label_entropy, else empty
};
DatasetSummary summary_of(const TrainingData& data);

struct StartedTraining {
  ShardPlan plan;
  std::vector<double> log_alpha_K;   // of every group before the first step
  std::vector<double> group_loss_K;  // newest of every group, NaN where unknown; empty where alpha is not a closed form
  std::vector<double> alpha_K;       // of every group before the first step
};

// Rank 0 tells the coordinator the groups and gets the plan; every rank gets it and checks that its data is rank 0's.
// Throws std::invalid_argument where a rank read other data than rank 0.
StartedTraining start_training(CoordinatorClient& client, const AttemptId& attempt, const DatasetSummary& data,
                               Collective& host);

// ReportStep of this attempt, and alpha as the newest answer says: nobody asks for it again. Rank 0.
class CoordinatorWeights {
 public:
  // `client` outlives it. alpha_K: before the first step, as StartedTraining has it.
  CoordinatorWeights(CoordinatorClient& client, AttemptId attempt, std::vector<double> alpha_K)
      : client_(client), attempt_(std::move(attempt)), alpha_K_(std::move(alpha_K)) {}

  // w_g of each group in `sums`; arguments as WeightSource. Throws what the client throws, and PeerError where the
  // answer is not of these groups.
  std::vector<double> step(std::int64_t step, const GroupSums& sums, std::span<const std::uint32_t> non_finite);

  const std::vector<double>& alpha_K() const { return alpha_K_; }  // of all groups, after the last step

 private:
  CoordinatorClient& client_;
  const AttemptId attempt_;
  std::vector<double> alpha_K_;
};

// How training ended on this rank.
struct TrainingEnd {
  std::int64_t final_step = 0;
  std::optional<v1::EarlyStop> stopped_early = {};  // absent: at the end of the plan
};

void finish_rank(CoordinatorClient& client, const AttemptId& attempt, int rank, const TrainingEnd& end,
                 std::array<std::byte, 32> state_digest);

// What went wrong, in one line: LibTorch adds its own stack to the sentence.
std::string failure_text(const std::exception& failure);

// Tells the coordinator why this rank ends: bad input, a peer, or the program itself, by the kind of exception.
void report_failure(CoordinatorClient& client, const AttemptId& attempt, int rank, const std::exception& failure);

}  // namespace equipoise
