#include "tests/bench/load/simulated_load.h"

#include <stdexcept>
#include <utility>

namespace equipoise::load {
namespace {

constexpr std::chrono::seconds kHeartbeatInterval{2};

v1::RegisterWorkerRequest registration(const std::string& job_id, std::int64_t generation, int rank, int ranks) {
  v1::RegisterWorkerRequest request;
  request.set_job_id(job_id);
  request.set_generation(generation);
  request.set_rank(rank);
  request.set_world_size(ranks);
  request.set_host("load");
  request.set_pid(1000 + rank);
  request.set_device("cpu");
  return request;
}

}  // namespace

std::shared_ptr<grpc::Channel> own_channel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

void expect_ok(const grpc::Status& status, const std::string& call) {
  if (status.ok()) return;
  throw std::runtime_error(call + ": " + status.error_message());
}

std::string create_job(v1::TrainingJobService::Stub& jobs, const std::string& name, int ranks,
                       const std::string& output) {
  v1::CreateTrainingJobRequest request;
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_name(name);
  spec.mutable_model()->set_path("/models/none");
  spec.mutable_data()->set_train("/data/none.jsonl");
  spec.mutable_robust()->set_mode(v1::ROBUST_MODE_GROUP_ROBUST);
  spec.mutable_robust()->set_step_size(0.1);
  spec.mutable_training()->set_max_steps(1'000'000'000);
  spec.mutable_training()->set_global_batch_size(4 * kUsualGroups);
  spec.mutable_launch()->set_mode(v1::LAUNCH_MODE_EXTERNAL);
  spec.mutable_launch()->set_workers(ranks);
  spec.set_output(output.empty() ? "/runs/" + name : output);
  grpc::ClientContext context;
  v1::TrainingJob job;
  expect_ok(jobs.CreateTrainingJob(&context, request, &job), "CreateTrainingJob");
  return job.id();
}

struct StepReporter::Call {
  grpc::ClientContext context;
  v1::ReportStepRequest one;
  v1::ReportStepResponse one_answer;
  v1::ReportStepsRequest several;
  v1::ReportStepsResponse several_answer;
};

StepReporter::StepReporter(const std::string& address, std::string job_id, int ranks, int groups)
    : job_id_(std::move(job_id)), groups_(groups), stub_(v1::WorkerService::NewStub(own_channel(address))) {
  for (int rank = 0; rank < ranks; ++rank) {
    grpc::ClientContext context;
    v1::RegisterWorkerResponse answer;
    expect_ok(stub_->RegisterWorker(&context, registration(job_id_, generation_, rank, ranks), &answer),
              "RegisterWorker");
    generation_ = answer.generation();
  }
  v1::StartTrainingRequest start;
  start.set_job_id(job_id_);
  start.set_generation(generation_);
  for (int group = 0; group < groups_; ++group) {
    start.add_group_names("group" + std::to_string(group));
    start.add_group_pair_count(1000);
  }
  start.set_num_pairs(1000 * groups_);
  start.set_dataset_digest(std::string(32, 'd'));
  grpc::ClientContext context;
  v1::StartTrainingResponse answer;
  expect_ok(stub_->StartTraining(&context, start, &answer), "StartTraining");
}

StepReporter::~StepReporter() { stop(); }

v1::ReportStepRequest StepReporter::step(std::int64_t number) const {
  v1::ReportStepRequest request;
  request.set_job_id(job_id_);
  request.set_generation(generation_);
  request.set_step(number);
  for (std::uint32_t group = 0; group < static_cast<std::uint32_t>(groups_); ++group) {
    request.add_group(group);
    request.add_loss_sum(2.0 + 0.1 * static_cast<double>((number + group) % 7));
    request.add_pair_count(4);
  }
  request.set_batch_pairs(4 * groups_);
  return request;
}

void StepReporter::begin(int steps_a_message) {
  steps_a_message_ = steps_a_message;
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = false;
    is_running_ = true;
  }
  send();
}

void StepReporter::send() {
  // The one before is the one whose answer is being handled.
  last_call_ = std::exchange(call_, std::make_unique<Call>());
  const auto handler = [this](const grpc::Status& status) { handle(status); };
  sent_at_ = LoadClock::now();
  if (steps_a_message_ == 1) {
    call_->one = step(next_step_);
    stub_->async()->ReportStep(&call_->context, &call_->one, &call_->one_answer, handler);
    return;
  }
  call_->several.set_job_id(job_id_);
  call_->several.set_generation(generation_);
  for (int i = 0; i < steps_a_message_; ++i) *call_->several.add_steps() = step(next_step_ + i);
  stub_->async()->ReportSteps(&call_->context, &call_->several, &call_->several_answer, handler);
}

void StepReporter::handle(const grpc::Status& status) {
  const std::chrono::duration<double> taken = LoadClock::now() - sent_at_;
  bool goes_on = false;
  {
    const std::lock_guard lock(mutex_);
    latencies_.push_back(taken.count());
    if (status.ok()) {
      next_step_ += steps_a_message_;
    } else {
      failure_ = status.error_message();
    }
    goes_on = status.ok() && !is_stopping_;
    is_running_ = goes_on;
    if (!goes_on) ended_.notify_all();
  }
  if (goes_on) send();
}

void StepReporter::stop() {
  std::unique_lock lock(mutex_);
  is_stopping_ = true;
  ended_.wait(lock, [this] { return !is_running_; });
}

std::vector<double> StepReporter::take_latencies() {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw std::runtime_error(job_id_ + ": ReportStep: " + failure_);
  return std::exchange(latencies_, {});
}

std::chrono::duration<double> StepReporter::report_one() {
  grpc::ClientContext context;
  v1::ReportStepResponse answer;
  const v1::ReportStepRequest request = step(next_step_);
  const auto begin = LoadClock::now();
  expect_ok(stub_->ReportStep(&context, request, &answer), "ReportStep");
  ++next_step_;
  return LoadClock::now() - begin;
}

struct Heartbeats::Rank {
  struct Call {
    grpc::ClientContext context;
    v1::HeartbeatResponse answer;
  };
  std::unique_ptr<v1::WorkerService::Stub> stub;
  v1::HeartbeatRequest request;
  std::unique_ptr<Call> call;
  std::atomic<bool> is_under_way = false;
};

Heartbeats::Heartbeats(const std::string& address, const std::vector<std::unique_ptr<StepReporter>>& jobs, int ranks) {
  for (const auto& job : jobs) {
    for (int rank = 0; rank < ranks; ++rank) {
      auto& added = *ranks_.emplace_back(std::make_unique<Rank>());
      added.stub = v1::WorkerService::NewStub(own_channel(address));
      added.request.set_job_id(job->job_id());
      added.request.set_generation(job->generation());
      added.request.set_rank(rank);
      added.request.set_phase("training");
    }
  }
  thread_ = std::thread([this] { run(); });
}

Heartbeats::~Heartbeats() {
  is_stopping_ = true;
  thread_.join();
  while (under_way_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void Heartbeats::leave_out(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  left_out_ = job_id;
}

// Spread over the interval, as ranks that do not know of each other are.
void Heartbeats::run() {
  auto next = LoadClock::now();
  for (std::size_t i = 0; !is_stopping_; i = (i + 1) % ranks_.size()) {
    next += std::chrono::duration_cast<LoadClock::duration>(kHeartbeatInterval) / static_cast<int>(ranks_.size());
    std::this_thread::sleep_until(next);
    Rank& rank = *ranks_[i];
    {
      const std::lock_guard lock(mutex_);
      if (rank.request.job_id() == left_out_) continue;
    }
    if (rank.is_under_way.exchange(true)) {
      ++failed_;  // two seconds without an answer
      continue;
    }
    rank.call = std::make_unique<Rank::Call>();
    ++under_way_;
    rank.stub->async()->Heartbeat(&rank.call->context, &rank.request, &rank.call->answer,
                                  [this, &rank](const grpc::Status& status) {
                                    ++(status.ok() ? answered_ : failed_);
                                    rank.is_under_way = false;
                                    --under_way_;
                                  });
  }
}

}  // namespace equipoise::load
