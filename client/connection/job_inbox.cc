#include "client/connection/job_inbox.h"

#include <utility>

namespace equipoise {

void JobInbox::put(const v1::TrainingJob& job) {
  const std::lock_guard lock(mutex_);
  job_ = job;
  changed_.notify_one();
}

void JobInbox::note(std::string sentence) {
  const std::lock_guard lock(mutex_);
  notes_.push_back(std::move(sentence));
  changed_.notify_one();
}

void JobInbox::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_one();
}

void JobInbox::fail(std::exception_ptr cause) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(cause);
  changed_.notify_one();
}

void JobInbox::interrupt(int signal) {
  const std::lock_guard lock(mutex_);
  ++interrupts_;
  last_signal_ = signal;
  changed_.notify_one();
}

JobInbox::Update JobInbox::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout,
                    [this] { return job_ || ended_ || failure_ || interrupts_ > seen_interrupts_ || !notes_.empty(); });
  if (failure_) std::rethrow_exception(failure_);
  seen_interrupts_ = interrupts_;
  return {.job = std::exchange(job_, std::nullopt),
          .ended = ended_,
          .interrupts = interrupts_,
          .last_signal = last_signal_,
          .notes = std::exchange(notes_, {})};
}

bool JobInbox::interrupted() const {
  const std::lock_guard lock(mutex_);
  return interrupts_ > 0;
}

}  // namespace equipoise
