#include "tests/client/support/coordinator_fixture.h"

#include <unistd.h>

#include <utility>

namespace equipoise {
namespace {

constexpr const char* kJob =
    "name: by-hand\n"
    "model: {path: model}\n"
    "data: {train: train.jsonl}\n"
    "robust: {mode: group_robust, step_size: 0.5}\n"
    "training: {max_steps: 2, global_batch_size: 2}\n"
    "output: out\n";

coordinator::ServerSettings settings_in(const std::filesystem::path& folder) {
  coordinator::ServerSettings settings;
  settings.listen = {.host = "127.0.0.1", .port = 0};
  settings.state = folder / "state";
  settings.worker = "no-worker-is-launched-here";
  return settings;
}

}  // namespace

RankByHand::RankByHand(const std::string& coordinator, std::string job)
    : job_(std::move(job)),
      stub_(v1::WorkerService::NewStub(grpc::CreateChannel(coordinator, grpc::InsecureChannelCredentials()))) {}

template <typename Response, typename Request, typename Method>
Response RankByHand::call(Method method, Request request) {
  request.set_job_id(job_);
  request.set_generation(generation_);
  grpc::ClientContext context;
  Response response;
  const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

void RankByHand::start() {
  v1::RegisterWorkerRequest hello;
  hello.set_world_size(1);
  hello.set_host("here");
  hello.set_pid(getpid());
  hello.set_device("cpu");
  generation_ = call<v1::RegisterWorkerResponse>(&v1::WorkerService::Stub::RegisterWorker, hello).generation();
  v1::StartTrainingRequest data;
  for (const std::string group : {"north", "south"}) {
    *data.add_group_names() = group;
    data.add_group_pair_count(2);
  }
  data.set_num_pairs(4);
  data.set_dataset_digest(std::string(32, 'd'));
  call<v1::StartTrainingResponse>(&v1::WorkerService::Stub::StartTraining, data);
}

void RankByHand::step() {
  v1::ReportStepRequest report;
  report.set_step(next_step_);
  for (const std::uint32_t group : {0u, 1u}) {
    report.add_group(group);
    report.add_loss_sum(0.5 + 0.5 * group);
    report.add_pair_count(1);
  }
  report.set_batch_pairs(2);
  call<v1::ReportStepResponse>(&v1::WorkerService::Stub::ReportStep, report);
  ++next_step_;
}

void RankByHand::report_evaluation(std::int64_t steps_done, double north_loss, double south_loss) {
  v1::ReportMetricsRequest report;
  report.set_step(steps_done);
  report.set_split(v1::SPLIT_VALIDATION);
  report.set_loss((north_loss + south_loss) / 2);
  for (const std::uint32_t group : {0u, 1u}) {
    v1::GroupMetrics& metrics = *report.add_groups();
    metrics.set_group(group);
    metrics.set_loss(group == 0 ? north_loss : south_loss);
    metrics.set_reward_accuracy(0.5);
    metrics.set_pair_count(2);
  }
  call<v1::ReportMetricsResponse>(&v1::WorkerService::Stub::ReportMetrics, report);
}

std::int64_t RankByHand::wanted_checkpoints() {
  return call<v1::HeartbeatResponse>(&v1::WorkerService::Stub::Heartbeat, v1::HeartbeatRequest()).checkpoint_requests();
}

void RankByHand::commit_checkpoint() {
  v1::CommitCheckpointRequest checkpoint;
  checkpoint.set_step(next_step_);
  checkpoint.set_manifest_digest(std::string(32, 'm'));
  checkpoint.set_bytes(100);
  call<v1::CommitCheckpointResponse>(&v1::WorkerService::Stub::CommitCheckpoint, checkpoint);
}

void RankByHand::finish() {
  v1::FinishWorkerRequest end;
  end.set_final_step(next_step_);
  end.set_state_digest(std::string(32, 's'));
  call<v1::FinishWorkerResponse>(&v1::WorkerService::Stub::FinishWorker, end);
}

void RankByHand::fail(const std::string& reason, v1::FailureKind kind) {
  v1::FailWorkerRequest failure;
  failure.set_reason(reason);
  failure.set_kind(kind);
  call<v1::FailWorkerResponse>(&v1::WorkerService::Stub::FailWorker, failure);
}

CoordinatorFixture::CoordinatorFixture() : server_(settings_in(folder_.path()), clock_, random_source_) {
  folder_.write("job.yaml", kJob);
}

CommandRun CoordinatorFixture::run_here(std::vector<std::string> arguments) const {
  for (const std::string& word :
       {std::string("--coordinator"), address(), std::string("--timeout"), std::string("5")}) {
    arguments.push_back(word);
  }
  return run(std::move(arguments));
}

std::string CoordinatorFixture::submitted() const {
  static int made = 0;
  const std::string output = (folder_.path() / ("out-" + std::to_string(++made))).string();
  const CommandRun result = run_here({"submit", job_file(), "--external", "--output", output});
  EXPECT_EQ(result.code, ExitCode::kSuccess) << result.err;
  return result.out.substr(0, result.out.find('\n'));
}

}  // namespace equipoise
