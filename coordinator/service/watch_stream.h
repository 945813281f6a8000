// One WatchTrainingJob as gRPC sees it: it has no thread, and keeps one message for a client that reads slowly.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "coordinator/service/job_watchers.h"

namespace equipoise::coordinator {

class WatchStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer>, public JobWatcher {
 public:
  using OnEnd = std::function<void(const grpc::Status&)>;
  // `on_end` is told once how the stream has ended. It deletes itself then. `watchers` outlives it.
  WatchStream(JobWatchers& watchers, OnEnd on_end) : watchers_(watchers), on_end_(std::move(on_end)) {}

  // Until the stream has ended: its place among those of its caller. Before anything else.
  void keep(std::shared_ptr<const void> place) { place_ = std::move(place); }
  void show(std::shared_ptr<const JobSnapshot> job) override;
  // After the message that waits, if there is one.
  void end(const grpc::Status& status) override;

 private:
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;
  // The caller of each has mutex_.
  void write(std::shared_ptr<const JobSnapshot> job);
  void finish(const grpc::Status& status);

  JobWatchers& watchers_;
  const OnEnd on_end_;
  std::shared_ptr<const void> place_;
  std::mutex mutex_;                            // guards all below
  std::shared_ptr<const JobSnapshot> written_;  // being sent; null: nothing is
  std::shared_ptr<const JobSnapshot> waiting_;  // to be sent after that
  std::optional<grpc::Status> end_;             // to be told after both
  std::optional<grpc::Status> told_;
};

}  // namespace equipoise::coordinator
