// Ranks of many jobs in one process, who report steps as fast as answers come and send heartbeats, to a coordinator
// that is a process of its own.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "equipoise/v1/training.grpc.pb.h"
#include "equipoise/v1/worker.grpc.pb.h"

namespace equipoise::load {

using LoadClock = std::chrono::steady_clock;

// A connection of its own, as that of another process.
std::shared_ptr<grpc::Channel> own_channel(const std::string& address);

// Throws std::runtime_error naming the call where it is refused.
void expect_ok(const grpc::Status& status, const std::string& call);

inline constexpr int kUsualGroups = 4;

// A job whose ranks the user starts. Returns its id.
//   output  empty: a folder of its name
std::string create_job(v1::TrainingJobService::Stub& jobs, const std::string& name, int ranks,
                       const std::string& output = "");

// Rank 0 of a job, and the steps that it reports, one message after the other. Not thread-safe.
class StepReporter {
 public:
  // Registers all ranks and starts training.
  StepReporter(const std::string& address, std::string job_id, int ranks, int groups = kUsualGroups);
  ~StepReporter();
  StepReporter(const StepReporter&) = delete;
  StepReporter& operator=(const StepReporter&) = delete;

  // Until stop(). steps_a_message: 1 is ReportStep, more ReportSteps.
  void begin(int steps_a_message);
  void stop();
  // One step, and waits for its answer: how long that took.
  std::chrono::duration<double> report_one();
  // Of the answers since the last call, seconds each.
  std::vector<double> take_latencies();
  std::int64_t steps() const { return next_step_; }
  const std::string& job_id() const { return job_id_; }
  std::int64_t generation() const { return generation_; }
  v1::WorkerService::Stub& stub() { return *stub_; }

 private:
  struct Call;
  v1::ReportStepRequest step(std::int64_t number) const;
  void send();
  void handle(const grpc::Status& status);

  const std::string job_id_;
  const int groups_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::int64_t generation_ = 0;
  std::atomic<std::int64_t> next_step_ = 0;
  int steps_a_message_ = 1;
  std::unique_ptr<Call> call_, last_call_;
  LoadClock::time_point sent_at_;
  std::mutex mutex_;
  std::condition_variable ended_;
  // Under mutex_.
  bool is_stopping_ = false, is_running_ = false;
  std::string failure_;
  std::vector<double> latencies_;
};

// All ranks of a job but for its steps: a heartbeat of each every two seconds.
class Heartbeats {
 public:
  Heartbeats(const std::string& address, const std::vector<std::unique_ptr<StepReporter>>& jobs, int ranks);
  ~Heartbeats();
  Heartbeats(const Heartbeats&) = delete;
  Heartbeats& operator=(const Heartbeats&) = delete;

  std::int64_t answered() const { return answered_; }
  std::int64_t failed() const { return failed_; }
  // Also of a job that is gone.
  void leave_out(const std::string& job_id);

 private:
  struct Rank;
  void run();

  std::vector<std::unique_ptr<Rank>> ranks_;
  std::atomic<std::int64_t> answered_ = 0, failed_ = 0, under_way_ = 0;
  std::atomic<bool> is_stopping_ = false;
  std::mutex mutex_;  // of left_out_
  std::string left_out_;
  std::thread thread_;
};

}  // namespace equipoise::load
