// Rank 0 on the full disk of a run's output: it waits until there is room, and all others wait for it.
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <utility>

#include "common/base/disk_fault.h"

namespace equipoise {

// Any thread.
class RoomWait {
 public:
  struct Parts {
    spdlog::logger& log;             // has a warning when the wait begins, and one when it is over
    std::function<void(bool)> tell;  // that it waits; that it does no more
    std::function<void()> check;     // before each further try; what it throws ends the wait
    std::chrono::milliseconds between_tries{1000};
  };
  explicit RoomWait(Parts parts) : parts_(std::move(parts)) {}
  RoomWait(const RoomWait&) = delete;
  RoomWait& operator=(const RoomWait&) = delete;

  // As DiskPatience.
  void keep_trying(const std::function<void()>& work);
  // keep_trying() of this, which outlives it.
  DiskPatience patience() {
    return [this](const std::function<void()>& work) { keep_trying(work); };
  }

 private:
  class Waiting;

  const Parts parts_;
  std::mutex mutex_;
  int waiting_ = 0;  // threads
};

}  // namespace equipoise
