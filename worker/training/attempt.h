// One rank's part in one attempt of a job, as the coordinator granted it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/config/job_config.h"
#include "common/dataset/shard_plan.h"
#include "common/protocol/live_settings.h"
#include "worker/client/coordinator_client.h"
#include "worker/client/heartbeat.h"
#include "worker/collective/host_ranks.h"
#include "worker/training/trained_policy.h"

namespace equipoise {

struct Registration {
  AttemptId attempt;
  v1::JobSpec spec;
  bool is_fork = false;  // it begins with another job's checkpoint, and may have other settings than that
};

struct RankPlace {
  RankInfo info;
  std::string device;  // "cpu", "cuda"
};

// Rank 0 registers first and hands its generation to the others, which then register with it.
Registration register_rank(CoordinatorClient& client, const std::string& job_id, const RankPlace& place,
                           HostCollective& host);

struct StartedTraining {
  ShardPlan plan;
  std::vector<double> log_alpha_K;   // of every group before the first step
  std::vector<double> group_loss_K;  // newest of every group, NaN where unknown; empty where alpha is not a closed form
  std::vector<double> alpha_K;       // of every group before the first step
  std::optional<ScheduleState> step_size;  // eta_alpha before the first step
  SettingsChanges settings_changes = {};   // that have taken effect
  // Steps done, after which an attempt before has evaluated, or was to, as people had asked.
  std::set<std::int64_t> asked_evaluations = {};
  std::int64_t schedule_steps = 0;  // that the learning rate's schedule is made for
};

// Rank 0 tells the coordinator the groups and gets the plan; every rank gets it and checks that its data is rank 0's.
// Throws std::invalid_argument where a rank read other data than rank 0, or the data is not what the checkpoint was
// trained on.
//   checkpoint  that the training goes on from; null: from the start
StartedTraining start_training(CoordinatorClient& client, const AttemptId& attempt, const GroupedData& data,
                               HostCollective& host, const CheckpointManifest* checkpoint = nullptr);

// The changes of settings up to `version` take effect now, after all `steps_done` steps, of which the coordinator has
// the reports. Rank 0.
v1::ApplySettingsResponse apply_settings(CoordinatorClient& client, const AttemptId& attempt, std::int64_t steps_done,
                                         std::int64_t version);

// The weights after the last step that the coordinator has applied. Rank 0.
GroupWeightsState weights_at_coordinator(CoordinatorClient& client, const AttemptId& attempt, std::int64_t steps_done);

// How training ended on this rank.
struct TrainingEnd {
  std::int64_t final_step = 0;
  std::optional<v1::EarlyStop> stopped_early = {};  // absent: at the end of the plan
  bool has_left = false;                            // before it, to go on from a checkpoint of final_step
  std::int64_t skipped_steps = 0;                   // that changed no parameter
};

//   ledger_chain  of the last seal; of rank 0
void finish_rank(CoordinatorClient& client, const AttemptId& attempt, int rank, const TrainingEnd& end,
                 std::array<std::byte, 32> state_digest, const std::optional<Digest>& ledger_chain = std::nullopt);

// This rank has made a checkpoint of all its steps, and leaves.
void leave_attempt(CoordinatorClient& client, const AttemptId& attempt, int rank, std::int64_t steps_done);

// What went wrong, in one line: LibTorch adds its own stack to the sentence.
std::string failure_text(const std::exception& failure);

// Tells the coordinator why this rank ends: bad input, a peer or the attempt's end, or the program itself, by the kind
// of exception.
void report_failure(CoordinatorClient& client, const AttemptId& attempt, int rank, const std::exception& failure);

}  // namespace equipoise
