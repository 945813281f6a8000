// Looking at files whose file system may never answer, as one over a network whose server is gone.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "common/base/error.h"

namespace equipoise {

// As long as a coordinator waits for the files of a call.
inline constexpr std::chrono::seconds kFilePatience{5};

// What a thread looks at now. It says so, and another one reads it.
class LookedAt {
 public:
  void set(std::filesystem::path place) {
    const std::lock_guard lock(mutex_);
    place_ = std::move(place);
  }
  std::filesystem::path get() const {
    const std::lock_guard lock(mutex_);
    return place_;
  }

 private:
  mutable std::mutex mutex_;
  std::filesystem::path place_;  // under mutex_
};

// What `look` returns or throws. PeerError where it has looked at one place for so long that this gives up. It has a
// thread of its own, which is left alone then, so it owns all that it uses.
template <typename Result>
Result looked_in_time(std::function<Result(LookedAt&)> look, std::chrono::milliseconds patience = kFilePatience) {
  const auto at = std::make_shared<LookedAt>();
  std::packaged_task<Result()> task([at, look = std::move(look)] { return look(*at); });
  std::future<Result> result = task.get_future();
  std::thread(std::move(task)).detach();
  std::filesystem::path before = at->get();
  while (result.wait_for(patience) != std::future_status::ready) {
    std::filesystem::path now = at->get();
    if (!now.empty() && now == before) throw PeerError("the file system of " + now.string() + " does not answer");
    before = std::move(now);
  }
  return result.get();
}

}  // namespace equipoise
