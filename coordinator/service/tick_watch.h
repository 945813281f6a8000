// Whether the thread that keeps time still does: a coordinator whose ticks do not end serves nobody, though it answers.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace equipoise::coordinator {

// Looks come at an interval, and the ticks have stopped once a number of them in a row have seen no new one: a machine
// that was stopped, and goes on, has had no look either.
struct TickRules {
  std::chrono::milliseconds interval{1000};
  int most_looks = 10;
};
// They are told to have stopped after a third of a lease: ranks that nobody answers still have theirs.
TickRules rules_within(std::chrono::seconds lease);

class TickWatch {
 public:
  // on_change(whether they go on) is called from this thread, under no lock.
  TickWatch(TickRules rules, const std::atomic<std::uint64_t>& ticks, std::function<void(bool)> on_change);
  ~TickWatch();
  TickWatch(const TickWatch&) = delete;
  TickWatch& operator=(const TickWatch&) = delete;

 private:
  void look();

  const TickRules rules_;
  const std::atomic<std::uint64_t>& ticks_;
  const std::function<void(bool)> on_change_;
  std::mutex mutex_;  // guards is_stopping_
  std::condition_variable stopping_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace equipoise::coordinator
