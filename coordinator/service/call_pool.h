// Threads on which calls are answered: as many calls of people may be under way as like to, but only so many are served
// at a time, and ranks wait behind these alone.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/service/fair_queue.h"

namespace equipoise::coordinator {

struct PoolSize {
  std::size_t threads = 4;
  std::size_t most_waiting = 8192;
  std::size_t most_of_one = 4096;  // waiting, of one caller
};

// May be used from any thread.
class CallPool {
 public:
  explicit CallPool(PoolSize size);
  // Everything that was taken has been done when it returns.
  ~CallPool();
  CallPool(const CallPool&) = delete;
  CallPool& operator=(const CallPool&) = delete;

  // `work` is done by and by: callers take turns, and what one has asked for is done in its order. It throws nothing.
  // False: too many are waiting, and it is not done.
  bool run(const std::string& caller, std::function<void()> work);

 private:
  void serve();

  const PoolSize size_;
  std::mutex mutex_;  // guards all below
  std::condition_variable waiting_changed_;
  FairQueue<std::function<void()>> waiting_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace equipoise::coordinator
