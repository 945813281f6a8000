#include "coordinator/service/call_waits.h"

#include <cstddef>

namespace equipoise::coordinator {

CallWaits::CallWaits(CallWaitLimits limits) : limits_(limits), thread_([this] { run(); }) {}

CallWaits::~CallWaits() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CallWaits::Wait::begin(For what) {
  std::unique_lock lock(waits_.mutex_);
  waits_.leave(*this, lock);
  list_ = &waits_.waits_[static_cast<std::size_t>(what)];
  place_ = list_->insert(list_->end(), this);
  due_ = waits_.tick_ + (what == For::kMessage ? waits_.limits_.message_ticks : waits_.limits_.reader_ticks);
}

void CallWaits::Wait::end() {
  std::unique_lock lock(waits_.mutex_);
  waits_.leave(*this, lock);
}

void CallWaits::leave(Wait& wait, std::unique_lock<std::mutex>& lock) {
  changed_.wait(lock, [&] { return cancelled_ != &wait; });
  if (wait.list_ == nullptr) return;
  wait.list_->erase(wait.place_);
  wait.list_ = nullptr;
}

// gRPC may begin other calls on the thread that cancels one, which wait for their message: not under the mutex.
void CallWaits::cancel(Wait& wait, std::unique_lock<std::mutex>& lock) {
  leave(wait, lock);
  cancelled_ = &wait;
  lock.unlock();
  wait.context_.TryCancel();
  lock.lock();
  cancelled_ = nullptr;
  changed_.notify_all();
}

void CallWaits::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, limits_.tick, [this] { return is_stopping_; })) {
    ++tick_;
    for (std::list<Wait*>& waits : waits_) {
      while (!waits.empty() && waits.front()->due_ <= tick_) cancel(*waits.front(), lock);
    }
  }
}

}  // namespace equipoise::coordinator
