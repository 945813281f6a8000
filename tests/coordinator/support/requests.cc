#include "tests/coordinator/support/requests.h"

#include <atomic>
#include <filesystem>

#include "tests/support/temp_folder.h"

namespace equipoise::coordinator {

v1::JobSpec two_group_spec(v1::LaunchMode mode, int workers) {
  v1::JobSpec spec;
  spec.set_name("survey");
  spec.mutable_model()->set_path("/models/tiny");
  spec.mutable_data()->set_train("/data/train.jsonl");
  spec.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
  spec.mutable_robust()->set_step_size(0.5);
  spec.mutable_robust()->set_estimator(v1::ESTIMATOR_BATCH_MEAN);  // whose steps are those of the formulas in tests
  spec.mutable_training()->set_max_steps(10);
  spec.mutable_training()->set_global_batch_size(4);
  spec.mutable_training()->set_sampling(v1::SAMPLING_PERMUTATION);
  spec.mutable_launch()->set_mode(mode);
  spec.mutable_launch()->set_workers(workers);
  if (mode == v1::LAUNCH_MODE_COORDINATOR) spec.mutable_launch()->set_max_restarts(0);
  static const TempFolder folder;  // of this process, for all its jobs
  spec.set_output((folder / "output").string());
  return spec;
}

v1::JobSpec two_group_cvar_spec(v1::LaunchMode mode, int workers, double kappa) {
  v1::JobSpec spec = two_group_spec(mode, workers);
  spec.mutable_robust()->clear_step_size();
  spec.mutable_robust()->set_ambiguity_set(v1::AMBIGUITY_SET_CVAR);
  spec.mutable_robust()->set_kappa(kappa);
  return spec;
}

v1::CreateTrainingJobRequest create_request(const v1::JobSpec& spec, const std::string& request_id) {
  static std::atomic<int> made = 0;
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = spec;
  if (request_id.empty()) request.mutable_spec()->set_output(spec.output() + "/" + std::to_string(++made));
  request.set_request_id(request_id);
  return request;
}

v1::RegisterWorkerRequest register_request(const std::string& job, std::int64_t generation, int rank, int world_size) {
  v1::RegisterWorkerRequest request;
  request.set_job_id(job);
  request.set_generation(generation);
  request.set_rank(rank);
  request.set_world_size(world_size);
  request.set_host("host");
  request.set_pid(1000 + rank);
  request.set_device("cpu");
  return request;
}

v1::StartTrainingRequest start_request(const std::string& job, std::int64_t generation) {
  v1::StartTrainingRequest request;
  request.set_job_id(job);
  request.set_generation(generation);
  request.add_group_names("north");
  request.add_group_names("south");
  request.add_group_pair_count(4);
  request.add_group_pair_count(2);
  request.set_num_pairs(6);
  request.set_dataset_digest(std::string(32, 'd'));
  return request;
}

v1::ResumePoint resume_point(const std::string& job, std::int64_t generation, const v1::WeightState& weights) {
  v1::ResumePoint point;
  *point.mutable_weights() = weights;
  point.set_job_id(job);
  point.set_generation(generation);
  point.set_manifest_digest(std::string(32, 'm'));
  return point;
}

v1::CommitCheckpointRequest commit_request(const std::string& job, std::int64_t generation, std::int64_t step) {
  v1::CommitCheckpointRequest request;
  request.set_job_id(job);
  request.set_generation(generation);
  request.set_step(step);
  request.set_manifest_digest(std::string(32, 'm'));
  request.set_bytes(100);
  return request;
}

v1::ReportStepRequest step_request(const std::string& job, std::int64_t generation, std::int64_t step,
                                   std::vector<double> loss_sum) {
  v1::ReportStepRequest request;
  request.set_job_id(job);
  request.set_generation(generation);
  request.set_step(step);
  for (std::uint32_t group = 0; group < loss_sum.size(); ++group) {
    request.add_group(group);
    request.add_loss_sum(loss_sum[group]);
    request.add_pair_count(1);
  }
  request.set_batch_pairs(2);
  return request;
}

v1::FinishWorkerRequest finish_request(const std::string& job, std::int64_t generation, int rank, char digest) {
  v1::FinishWorkerRequest request;
  request.set_job_id(job);
  request.set_generation(generation);
  request.set_rank(rank);
  request.set_final_step(10);
  request.set_state_digest(std::string(32, digest));
  return request;
}

v1::HeartbeatRequest heartbeat_request(const std::string& job, std::int64_t generation, int rank) {
  v1::HeartbeatRequest request;
  request.set_job_id(job);
  request.set_generation(generation);
  request.set_rank(rank);
  request.set_phase("training");
  return request;
}

}  // namespace equipoise::coordinator
