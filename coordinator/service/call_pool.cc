#include "coordinator/service/call_pool.h"

#include <utility>

namespace equipoise::coordinator {

CallPool::CallPool(PoolSize size) : most_waiting_(size.most_waiting) {
  threads_.reserve(size.threads);
  for (std::size_t i = 0; i < size.threads; ++i) threads_.emplace_back([this] { serve(); });
}

CallPool::~CallPool() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  waiting_changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool CallPool::run(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= most_waiting_) return false;
    waiting_.push_back(std::move(work));
  }
  waiting_changed_.notify_one();
  return true;
}

void CallPool::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    waiting_changed_.wait(lock, [this] { return is_stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace equipoise::coordinator
