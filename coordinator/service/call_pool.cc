#include "coordinator/service/call_pool.h"

#include <utility>

namespace equipoise::coordinator {

CallPool::CallPool(PoolSize size) : size_(size) {
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

bool CallPool::run(const std::string& caller, std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= size_.most_waiting || waiting_.size_of(caller) >= size_.most_of_one) return false;
    waiting_.push(caller, std::move(work));
  }
  waiting_changed_.notify_one();
  return true;
}

void CallPool::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    waiting_changed_.wait(lock, [this] { return is_stopping_ || !waiting_.is_empty(); });
    if (waiting_.is_empty()) return;
    std::function<void()> work = waiting_.pop();
    lock.unlock();
    work();
    work = nullptr;  // what it holds goes without the lock
    lock.lock();
  }
}

}  // namespace equipoise::coordinator
