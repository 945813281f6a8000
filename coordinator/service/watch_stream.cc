#include "coordinator/service/watch_stream.h"

#include <exception>
#include <utility>

#include "common/protocol/reconnection.h"
#include "coordinator/service/pooled_calls.h"

namespace equipoise::coordinator {

void WatchStream::received(grpc::ByteBuffer& message) {
  try {
    check_size(message.Length());
    v1::WatchTrainingJobRequest asked;
    parse(message, asked);
    {
      const std::lock_guard lock(mutex_);  // cancelled() may come at any time, and has finished it then
      if (told_ || end_) return;
      context().AddInitialMetadata(kWatchOpenMetadata, "open");
      StartSendInitialMetadata();
    }
    watchers_.add(*this, asked.id(), asked.after_revision());
  } catch (...) {
    end(status_of(std::current_exception()));
  }
}

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
  begin_sending();
  StartWrite(&written_->bytes);
}

void WatchStream::finish(const grpc::Status& status) {
  if (told_) return;
  told_ = status;
  begin_sending();
  Finish(status);
}

void WatchStream::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  end_sending();
  if (ok) note_answer();
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
void WatchStream::cancelled() {
  const std::lock_guard lock(mutex_);
  waiting_.reset();
  end_ = grpc::Status::CANCELLED;
  if (!written_) finish(*end_);
}

void WatchStream::ended() {
  watchers_.remove(*this);
  const std::lock_guard lock(mutex_);  // whoever has finished it has come out of it
  boundary().count(method(), told_.value_or(grpc::Status::CANCELLED));
}

}  // namespace equipoise::coordinator
