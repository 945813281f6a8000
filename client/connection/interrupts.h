// Ctrl-C (SIGINT), SIGTERM and SIGHUP as events instead of sudden death.
#pragma once

#include <csignal>
#include <functional>
#include <thread>

namespace equipoise {

// While this lives, the three signals are blocked in the thread that made it and in every thread started since, and
// each one that arrives calls `on_signal` with its number from a thread of its own. A SIGHUP that is ignored, as under
// nohup, stays so. Make it before anything that starts threads.
class Interrupts {
 public:
  explicit Interrupts(std::function<void(int)> on_signal);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

 private:
  void listen();

  std::function<void(int)> on_signal_;
  sigset_t previous_mask_;
  int stop_event_;
  int signal_events_;
  std::thread listener_;
};

}  // namespace equipoise
