// Ends calls whose other end keeps them waiting: for a message that is begun and does not arrive, or for room for an
// answer that nobody takes.
#pragma once

#include <grpcpp/server_context.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

namespace equipoise::coordinator {

// In ticks, not by the clock: calls that have come while this process stood still are read before the next tick.
struct CallWaitLimits {
  std::chrono::milliseconds tick{1000};
  std::int64_t message_ticks = 30;
  std::int64_t reader_ticks = 60;
};

// May be used from any thread.
class CallWaits {
 public:
  explicit CallWaits(CallWaitLimits limits = {});
  ~CallWaits();  // no Wait is left
  CallWaits(const CallWaits&) = delete;
  CallWaits& operator=(const CallWaits&) = delete;

  enum class For { kMessage, kReader };

  // Of one call, for one thing at a time.
  class Wait {
   public:
    // Both outlive it.
    Wait(CallWaits& waits, grpc::ServerContextBase& context) : waits_(waits), context_(context) {}
    ~Wait() { end(); }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

    // Where it takes longer than it may, the call is cancelled.
    void begin(For what);
    void end();

   private:
    friend class CallWaits;
    CallWaits& waits_;
    grpc::ServerContextBase& context_;
    // Guarded by the mutex of waits_.
    std::list<Wait*>* list_ = nullptr;  // null: it waits for nothing
    std::list<Wait*>::iterator place_;
    std::int64_t due_ = 0;  // the tick
  };

 private:
  void run();
  // The caller has `lock` on mutex_.
  void leave(Wait& wait, std::unique_lock<std::mutex>& lock);
  void cancel(Wait& wait, std::unique_lock<std::mutex>& lock);

  const CallWaitLimits limits_;
  std::mutex mutex_;                 // guards all below
  std::condition_variable changed_;  // is_stopping_ or cancelled_
  bool is_stopping_ = false;
  Wait* cancelled_ = nullptr;  // at this moment: its call may not go
  std::int64_t tick_ = 0;
  std::array<std::list<Wait*>, 2> waits_;  // for each thing: those that came first are due first
  std::thread thread_;
};

}  // namespace equipoise::coordinator
