#include "coordinator/service/watch_stream.h"

#include <utility>

namespace equipoise::coordinator {

void WatchStream::show(std::shared_ptr<const JobSnapshot> job) {
  const std::lock_guard lock(mutex_);
  if (told_ || end_) return;
  if (job->is_final) end_ = grpc::Status::OK;
  if (written_) {
    waiting_ = std::move(job);
  } else {
    write(std::move(job));
  }
}

void WatchStream::end(const grpc::Status& status) {
  const std::lock_guard lock(mutex_);
  if (!end_) end_ = status;
  if (!written_) finish(*end_);
}

void WatchStream::write(std::shared_ptr<const JobSnapshot> job) {
  written_ = std::move(job);
  StartWrite(&written_->bytes);
}

void WatchStream::finish(const grpc::Status& status) {
  if (told_) return;
  told_ = status;
  Finish(status);
}

void WatchStream::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  written_.reset();
  if (!ok) {
    finish(grpc::Status::CANCELLED);
  } else if (waiting_) {
    write(std::exchange(waiting_, nullptr));
  } else if (end_) {
    finish(*end_);
  }
}

// A write that is under way ends without success.
void WatchStream::OnCancel() {
  const std::lock_guard lock(mutex_);
  waiting_.reset();
  end_ = grpc::Status::CANCELLED;
  if (!written_) finish(*end_);
}

void WatchStream::OnDone() {
  watchers_.remove(*this);
  on_end_(told_.value_or(grpc::Status::CANCELLED));
  delete this;
}

}  // namespace equipoise::coordinator
