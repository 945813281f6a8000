// The coordinator as a rank sees it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/base/service_access.h"
#include "equipoise/v1/worker.grpc.pb.h"

namespace equipoise {

// The coordinator wants this attempt to end: the job was cancelled, or a newer attempt has taken over.
class AttemptEnded : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Blocking calls. One window for all of them, `patience`: the first connection may take that long, and a call is tried
// again that long where the coordinator is away or does not answer within 30 s, as every call may be
// repeated. Where it answers that it cannot store anything at the moment, as on a full disk, the window begins anew
// with each such answer: the rank waits for as long as the coordinator is there. A heartbeat is tried once: the next
// one comes soon. Throws AttemptEnded where this attempt is over, std::invalid_argument where the coordinator refuses
// the content (INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION of RegisterWorker and StartTraining), PeerError for the
// rest, with the address and the time waited. What is over, or to be tried again, is said by the ErrorReason of a
// status, and by its code where it has none. May be used from several threads.
class CoordinatorClient {
 public:
  // Waits for the connection. `attempt_token` goes with every call; empty: of a job that somebody else launched, whose
  // ranks show the token of a user, that of `access`, where the coordinator wants one. Throws
  // std::invalid_argument when there is none after `patience`: the address is wrong, or nobody has started the
  // coordinator.
  CoordinatorClient(std::string address, std::chrono::seconds patience, std::string attempt_token = "",
                    ServiceAccess access = {});

  std::chrono::seconds patience() const { return patience_; }
  // Told once when calls begin to wait because nothing can be stored, and once when they go on. Before the first call.
  void set_on_hold(std::function<void(const std::string& sentence)> on_hold) { on_hold_ = std::move(on_hold); }

  v1::RegisterWorkerResponse register_worker(const v1::RegisterWorkerRequest& request);
  v1::StartTrainingResponse start_training(const v1::StartTrainingRequest& request);
  v1::ReportStepResponse report_step(const v1::ReportStepRequest& request);
  v1::ReportStepsResponse report_steps(const v1::ReportStepsRequest& request);
  v1::GetGroupWeightsResponse group_weights(const v1::GetGroupWeightsRequest& request);
  v1::ApplySettingsResponse apply_settings(const v1::ApplySettingsRequest& request);
  void commit_checkpoint(const v1::CommitCheckpointRequest& request);
  void report_metrics(const v1::ReportMetricsRequest& request);
  // An answer that has not come `within` this time is none.
  v1::HeartbeatResponse heartbeat(const v1::HeartbeatRequest& request,
                                  std::chrono::milliseconds within = std::chrono::seconds(30));
  void finish_worker(const v1::FinishWorkerRequest& request);
  void leave_worker(const v1::LeaveWorkerRequest& request);
  // Never throws: what cannot be delivered is lost.
  void fail_worker(const v1::FailWorkerRequest& request) noexcept;

 private:
  struct Call;
  void sign(grpc::ClientContext& context) const;
  template <typename Response, typename Request, typename Method>
  Response make(const Call& call, Method method, const Request& request);
  void hold(const Call& call, const grpc::Status& status);
  void go_on();
  [[noreturn]] void throw_status(const Call& call, const grpc::Status& status, std::chrono::seconds waited) const;

  const std::string address_;
  const std::chrono::seconds patience_;
  const std::string attempt_token_;
  const ServiceAccess access_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::function<void(const std::string&)> on_hold_;
  std::atomic<bool> is_held_ = false;
};

}  // namespace equipoise
