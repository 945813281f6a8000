// The coordinator as a rank sees it.
#pragma once

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "equipoise/v1/worker.grpc.pb.h"

namespace equipoise {

// The coordinator wants this attempt to end: the job was cancelled, or a newer attempt has taken over.
class AttemptEnded : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Blocking calls. One window for all of them, `patience`: the first connection may take that long, and a call is tried
// again that long where the coordinator is away (UNAVAILABLE) or does not answer within 30 s, as every call may be
// repeated. A heartbeat is tried once: the next one comes soon. Throws AttemptEnded on CANCELLED and on a stale
// generation or token, std::invalid_argument where the coordinator refuses the content (INVALID_ARGUMENT, NOT_FOUND,
// FAILED_PRECONDITION of RegisterWorker and StartTraining), PeerError for the rest, with the address and the time
// waited. May be used from several threads.
class CoordinatorClient {
 public:
  // Waits for the connection. `attempt_token` goes with every call; empty: of a job that somebody else launched. Throws
  // std::invalid_argument when there is none after `patience`: the address is wrong, or nobody has started the
  // coordinator.
  CoordinatorClient(std::string address, std::chrono::seconds patience, std::string attempt_token = "");

  std::chrono::seconds patience() const { return patience_; }

  v1::RegisterWorkerResponse register_worker(const v1::RegisterWorkerRequest& request);
  v1::StartTrainingResponse start_training(const v1::StartTrainingRequest& request);
  v1::ReportStepResponse report_step(const v1::ReportStepRequest& request);
  v1::ReportStepsResponse report_steps(const v1::ReportStepsRequest& request);
  v1::GetGroupWeightsResponse group_weights(const v1::GetGroupWeightsRequest& request);
  void commit_checkpoint(const v1::CommitCheckpointRequest& request);
  void report_metrics(const v1::ReportMetricsRequest& request);
  v1::HeartbeatResponse heartbeat(const v1::HeartbeatRequest& request);
  void finish_worker(const v1::FinishWorkerRequest& request);
  // Never throws: what cannot be delivered is lost.
  void fail_worker(const v1::FailWorkerRequest& request) noexcept;

 private:
  struct Call;
  template <typename Response, typename Request, typename Method>
  Response make(const Call& call, Method method, const Request& request);
  [[noreturn]] void throw_status(const Call& call, const grpc::Status& status, std::chrono::seconds waited) const;

  const std::string address_;
  const std::chrono::seconds patience_;
  const std::string attempt_token_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
};

}  // namespace equipoise
