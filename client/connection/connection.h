// The coordinator as people's tools see it: a channel, deadlines, and errors as one sentence.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/error.h"
#include "common/base/service_access.h"
#include "equipoise/v1/host.grpc.pb.h"
#include "equipoise/v1/training.grpc.pb.h"

namespace equipoise {

// Nobody answered at the address, or not in time.
class CoordinatorUnreachable : public PeerError {
 public:
  using PeerError::PeerError;
};

struct CoordinatorAddress {
  std::string host_port;         // "HOST:PORT"; an IPv6 host in brackets
  std::chrono::seconds timeout;  // > 0: how long a connection, or the end of an interruption, is waited for
  ServiceAccess access = {};     // how it is called
};

// The job that a call changes.
struct ChangedJob {
  std::string id;
  std::string etag = {};  // that it must have; empty: any
};

// Asked several times a second during a wait; true ends it.
using StopRequest = std::function<bool()>;

// Every call waits at most the timeout for a coordinator that is away, and 10 s for the answer; one that may be
// repeated is, where the coordinator went away meanwhile. Throws std::invalid_argument where the coordinator refuses
// the request or the caller (INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, ALREADY_EXISTS, OUT_OF_RANGE,
// UNAUTHENTICATED, PERMISSION_DENIED), CommandError (kChanged) where a job has another etag, CoordinatorUnreachable on
// UNAVAILABLE and DEADLINE_EXCEEDED, PeerError for the rest, and where nothing can be stored. Every call carries the
// token of the address. May be used from several threads.
class Connection {
 public:
  // Returns when the coordinator is there. Throws std::invalid_argument for an address that is not HOST:PORT or to
  // which the token would go in plain text over a network, CoordinatorUnreachable when nobody is there after the
  // timeout, or TLS does not come about, CommandError (interrupted) when `stop` says so.
  explicit Connection(CoordinatorAddress address, const StopRequest& stop = nullptr);

  v1::TrainingJob create_job(const v1::CreateTrainingJobRequest& request);
  v1::TrainingJob get_job(const std::string& id);
  v1::TrainingJob cancel_job(const ChangedJob& job);
  bool cancel_unless_ended(const std::string& id);  // false: the job had ended by itself
  v1::TrainingJob pause_job(const ChangedJob& job);
  // As it is then; nullopt: the job had ended, or is about to.
  std::optional<v1::TrainingJob> pause_unless_ended(const std::string& id);
  v1::TrainingJob resume_job(const ChangedJob& job);
  v1::TrainingJob checkpoint_job(const ChangedJob& job);
  v1::TrainingJob evaluate_job(const ChangedJob& job);
  v1::TrainingJob fork_job(const v1::ForkTrainingJobRequest& request);
  v1::TrainingJob update_job(const v1::UpdateTrainingJobRequest& request);
  void delete_job(const ChangedJob& job);
  v1::ListTrainingJobsResponse list_jobs(const v1::ListTrainingJobsRequest& request);
  v1::ListAttemptsResponse list_attempts(const v1::ListAttemptsRequest& request);
  v1::ListCheckpointsResponse list_checkpoints(const v1::ListCheckpointsRequest& request);
  v1::ListEventsResponse list_events(const v1::ListEventsRequest& request);
  v1::ListGroupWeightsResponse list_group_weights(const v1::ListGroupWeightsRequest& request);
  v1::ListRanksResponse list_ranks(const v1::ListRanksRequest& request);

  v1::ListHostsResponse list_hosts(const v1::ListHostsRequest& request);
  v1::Host cordon_host(const std::string& name, const std::string& reason);
  v1::Host uncordon_host(const std::string& name);

  // What is newer than `after_revision` (0: the job as it is, too). The stream is open until `context` is cancelled or
  // the job is in a final state. Breaks at once where the coordinator is away.
  std::unique_ptr<grpc::ClientReader<v1::TrainingJob>> watch_job(grpc::ClientContext& context, const std::string& id,
                                                                 std::int64_t after_revision);

  // Whether the coordinator can be reached, or can be within `wait`.
  bool is_connected(std::chrono::milliseconds wait);

  const CoordinatorAddress& address() const { return address_; }
  // Throws for a status that is not OK, as described above.
  void check(const grpc::Status& status) const;

 private:
  enum class Repeat { kSafe, kUnsafe };
  void sign(grpc::ClientContext& context) const;
  template <typename Stub, typename Request, typename Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);
  template <typename Response, typename Stub, typename Request>
  Response call(Repeat repeat, Method<Stub, Request, Response> method, const Request& request);
  template <typename Response, typename Request>
  Response change(Method<v1::TrainingJobService::Stub, Request, Response> method, const ChangedJob& job);
  template <typename Request>
  std::optional<v1::TrainingJob> ask_once(Method<v1::TrainingJobService::Stub, Request, v1::TrainingJob> method,
                                          const std::string& id);

  CoordinatorAddress address_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TrainingJobService::Stub> stub_;
  std::unique_ptr<v1::HostService::Stub> host_stub_;
};

}  // namespace equipoise
