#include "client/connection/job_stream.h"

#include <utility>

#include "common/protocol/job_state.h"

namespace equipoise {
namespace {

constexpr std::chrono::milliseconds kBetweenAttempts{250};

}  // namespace

JobStream::JobStream(Connection& connection, std::string id, JobInbox& inbox)
    : connection_(connection), id_(std::move(id)), inbox_(inbox), last_update_(std::chrono::steady_clock::now()) {
  reader_ = std::thread([this] { run(); });
}

JobStream::~JobStream() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (context_) context_->TryCancel();
  }
  stop_requested_.notify_one();
  reader_.join();
}

bool JobStream::stopped_within(std::chrono::milliseconds pause) {
  std::unique_lock lock(mutex_);
  return stop_requested_.wait_for(lock, pause, [this] { return stopping_; });
}

void JobStream::run() {
  while (true) {
    const grpc::Status status = read_until_break();
    if (job_ended_) return inbox_.end();
    const bool may_reconnect = status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE;
    const bool is_in_time = std::chrono::steady_clock::now() - last_update_ < connection_.address().timeout;
    if (stopped_within(kBetweenAttempts)) return;
    if (may_reconnect && is_in_time) continue;
    const grpc::Status cause =
        status.ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream ended before the job did") : status;
    // An exception of this thread belongs to the thread that reads the inbox.
    try {
      connection_.check(cause);
    } catch (...) {
      return inbox_.fail(std::current_exception());
    }
  }
}

grpc::Status JobStream::read_until_break() {
  std::unique_ptr<grpc::ClientReader<v1::TrainingJob>> reader;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return grpc::Status::CANCELLED;
    context_ = std::make_unique<grpc::ClientContext>();
    reader = connection_.watch_job(*context_, id_);
  }
  v1::TrainingJob job;
  while (reader->Read(&job)) {
    last_update_ = std::chrono::steady_clock::now();
    job_ended_ = is_final(job.state());
    inbox_.put(job);
  }
  return reader->Finish();
}

}  // namespace equipoise
