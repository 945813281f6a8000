#include "coordinator/service/tick_watch.h"

#include <utility>

namespace equipoise::coordinator {

TickRules rules_within(std::chrono::seconds lease) {
  const TickRules rules;
  return {.interval = std::chrono::milliseconds(lease) / (3 * rules.most_looks), .most_looks = rules.most_looks};
}

TickWatch::TickWatch(TickRules rules, const std::atomic<std::uint64_t>& ticks, std::function<void(bool)> on_change)
    : rules_(rules), ticks_(ticks), on_change_(std::move(on_change)), thread_([this] { look(); }) {}

TickWatch::~TickWatch() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  stopping_.notify_all();
  thread_.join();
}

void TickWatch::look() {
  std::uint64_t seen = ticks_;
  int looks = 0;
  bool have_stopped = false;
  std::unique_lock lock(mutex_);
  while (!stopping_.wait_for(lock, rules_.interval, [this] { return is_stopping_; })) {
    const std::uint64_t now = ticks_;
    looks = now == seen ? looks + 1 : 0;
    seen = now;
    const bool have_stopped_now = looks >= rules_.most_looks;
    if (have_stopped_now == have_stopped) continue;
    have_stopped = have_stopped_now;
    lock.unlock();
    on_change_(!have_stopped);
    lock.lock();
  }
}

}  // namespace equipoise::coordinator
