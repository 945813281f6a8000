// Requests as clients and ranks send them, for a job of two groups.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// GR-DPO, step size 0.5, 10 steps of 4 pairs over 6, `workers` ranks; a failure is its end.
v1::JobSpec two_group_spec(v1::LaunchMode mode, int workers);

// The same with robust.ambiguity_set cvar: no group weighs more than its share / kappa.
v1::JobSpec two_group_cvar_spec(v1::LaunchMode mode, int workers, double kappa);

// A request without an id is for a job of its own, with an output of its own below that of `spec`.
v1::CreateTrainingJobRequest create_request(const v1::JobSpec& spec, const std::string& request_id = "");
v1::RegisterWorkerRequest register_request(const std::string& job, std::int64_t generation, int rank, int world_size);
// Groups "north" (4 pairs) and "south" (2 pairs).
v1::StartTrainingRequest start_request(const std::string& job, std::int64_t generation);
// A checkpoint with these weights.
v1::ResumePoint resume_point(const std::string& job, std::int64_t generation, const v1::WeightState& weights);
// Of 100 bytes, after `step` steps.
v1::CommitCheckpointRequest commit_request(const std::string& job, std::int64_t generation, std::int64_t step);
// One pair of each group, with these losses.
v1::ReportStepRequest step_request(const std::string& job, std::int64_t generation, std::int64_t step,
                                   std::vector<double> loss_sum);
v1::FinishWorkerRequest finish_request(const std::string& job, std::int64_t generation, int rank, char digest);
v1::HeartbeatRequest heartbeat_request(const std::string& job, std::int64_t generation, int rank);

}  // namespace equipoise::coordinator
