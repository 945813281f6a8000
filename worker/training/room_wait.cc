#include "worker/training/room_wait.h"

#include <exception>
#include <optional>
#include <string>
#include <thread>

namespace equipoise {

// One thread's.
class RoomWait::Waiting {
 public:
  Waiting(RoomWait& all, const std::string& why) : all_(all) {
    const std::lock_guard lock(all_.mutex_);
    if (all_.waiting_++ > 0) return;
    all_.parts_.log.warn("{}; training waits until there is room", why);
    all_.parts_.tell(true);
  }
  ~Waiting() {
    const std::lock_guard lock(all_.mutex_);
    if (--all_.waiting_ == 0) all_.parts_.tell(false);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  RoomWait& all_;
};

void RoomWait::keep_trying(const std::function<void()>& work) {
  std::optional<Waiting> waiting;
  while (true) {
    try {
      work();
      break;
    } catch (const std::exception& failure) {
      if (!is_full_disk(failure)) throw;
      if (!waiting) waiting.emplace(*this, failure.what());
    }
    parts_.check();
    std::this_thread::sleep_for(parts_.between_tries);
  }
  if (waiting) parts_.log.warn("the disk of the output has room again: training goes on");
}

}  // namespace equipoise
