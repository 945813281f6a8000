// One WatchTrainingJob as gRPC sees it: it has no thread, and keeps one message for a client that reads slowly.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "coordinator/service/job_watchers.h"
#include "coordinator/service/rpc_call.h"

namespace equipoise::coordinator {

// Bytes instead of messages: those of a job are made once for all that follow it.
class WatchStream final : public RpcCall, public JobWatcher {
 public:
  // `watchers` outlives it.
  WatchStream(const CallPlace& place, JobWatchers& watchers) : RpcCall(place), watchers_(watchers) {}

  void show(std::shared_ptr<const JobSnapshot> job) override;
  // After the message that waits, if there is one.
  void end(const grpc::Status& status) override;

 private:
  void received(grpc::ByteBuffer& message) override;
  void no_message() override { end(grpc::Status::CANCELLED); }
  void OnWriteDone(bool ok) override;
  void cancelled() override;
  void ended() override;
  // The caller of each has mutex_.
  void write(std::shared_ptr<const JobSnapshot> job);
  void finish(const grpc::Status& status);

  JobWatchers& watchers_;
  std::mutex mutex_;                            // guards all below
  std::shared_ptr<const JobSnapshot> written_;  // being sent; null: nothing is
  std::shared_ptr<const JobSnapshot> waiting_;  // to be sent after that
  std::optional<grpc::Status> end_;             // to be told after both
  std::optional<grpc::Status> told_;
};

}  // namespace equipoise::coordinator
