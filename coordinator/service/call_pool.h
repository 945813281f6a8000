// Threads on which calls are answered: as many calls of people may be under way as like to, but only so many are served
// at a time, and ranks wait behind these alone.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace equipoise::coordinator {

struct PoolSize {
  std::size_t threads = 4;
  std::size_t most_waiting = 8192;
};

// May be used from any thread.
class CallPool {
 public:
  explicit CallPool(PoolSize size);
  // Everything that was taken has been done when it returns.
  ~CallPool();
  CallPool(const CallPool&) = delete;
  CallPool& operator=(const CallPool&) = delete;

  // `work` is done by and by, in the order of the calls. It throws nothing. False: too many are waiting, and it is not
  // done.
  bool run(std::function<void()> work);

 private:
  void serve();

  const std::size_t most_waiting_;
  std::mutex mutex_;  // guards all below
  std::condition_variable waiting_changed_;
  std::deque<std::function<void()>> waiting_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace equipoise::coordinator
