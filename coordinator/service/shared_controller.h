// The core shared by many threads: one call at a time, changed jobs told to their watchers, a thread that keeps time.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>

#include "coordinator/job/job_controller.h"
#include "coordinator/service/job_watchers.h"
#include "coordinator/service/tick_watch.h"
#include "coordinator/store/state_room.h"

namespace equipoise::coordinator {

// Whether what is stored still has a name on the disk, and whether anything can be stored.
struct StateWatch {
  std::function<std::string()> loss = {};  // why it has none, in one sentence; empty: it has. From any thread
  std::function<void()> on_loss = {};      // called once, from the timer's thread
  std::function<void()> touch = {};        // called once an hour at least, while nothing is lost
  StateRoom* room = nullptr;               // of the disk; null: there is no reserve, and nobody looks at what is free
  std::function<void(bool)> on_writable = {};  // called where it changes, under the lock: it returns soon
  std::function<void(bool)> on_ticking = {};   // called where ticks stop, and go on; under another lock
};

// May be used from any thread.
class SharedController {
 public:
  // `controller` outlives it.
  SharedController(JobController& controller, std::size_t max_watchers);
  ~SharedController();
  SharedController(const SharedController&) = delete;
  SharedController& operator=(const SharedController&) = delete;

  // Starts the thread: from now on queued jobs are launched. Once.
  void start_timer(TickRules rules = {});

  // From now on run() acknowledges nothing once the state is lost. Makes the reserve of `watch.room`.
  void watch_state(StateWatch watch);

  // For probes: takes no lock, which may be what hangs.
  enum class Health {
    kServes,
    kCannotStore,  // anything, or the state is lost
    kHangs,        // something under the lock does not end, as on a disk of the state that does not answer
  };
  Health health() const {
    if (!is_ticking_) return Health::kHangs;
    return is_storing_ ? Health::kServes : Health::kCannotStore;
  }

  // Runs `call` on the core, alone; watchers see what it has changed. Throws Refusal kUnavailable where the state is
  // lost by then: what the call has done would not outlive this process. Where it throws StoreError, as on a full disk,
  // the core is held until a write works again (JobTable::hold()); the first such call is made again with the bytes of
  // the reserve, so it may be made twice.
  template <typename Call>
  auto run(const Call& call) {
    const Announcement announcement(changed_);
    const std::lock_guard lock(mutex_);
    const ChangedJobs changed(*this);
    refuse_if_lost();
    try {
      return answered(call);
    } catch (const StoreError& failure) {
      if (!hold_writes(failure)) throw;
    }
    return answered(call);
  }
  // As run(), for calls that change nothing.
  template <typename Call>
  auto read(const Call& call) {
    const std::lock_guard lock(mutex_);
    return call(controller_);
  }
  // Something may be due: the thread does it at once.
  void wake();

  // For OnExit of a launcher: the thread handles it; returns at once.
  void queue_exit(const LaunchExit& exit);
  // Does what is due, here and now; the thread does the same ten times a second.
  void tick();
  // One piece of what deleted jobs have left; the thread does the same. From one thread at a time.
  void clean();

  JobWatchers& watchers() { return watchers_; }

  // Ranks that train are asked to leave with a checkpoint; returns when they have, after `grace`, or once hurry() was
  // called. At once with a grace of 0.
  void let_leave(std::chrono::seconds grace);
  void hurry();
  // Jobs with an attempt end it, and their processes are ended; returns when none is left.
  void end_attempts();
  // In place of it: no job starts any more, and what runs is left to the next coordinator.
  void keep_attempts();
  // Tells every watcher that the service ends, and waits for them to go, but not for one that does not read for 5 s.
  void close_watchers();

 private:
  struct Announcement {
    explicit Announcement(std::condition_variable& condition) : condition_(condition) {}
    ~Announcement() { condition_.notify_all(); }
    Announcement(const Announcement&) = delete;
    Announcement& operator=(const Announcement&) = delete;
    std::condition_variable& condition_;
  };
  // Tells the watchers at its end, whatever came of the call. The caller has mutex_.
  struct ChangedJobs {
    explicit ChangedJobs(SharedController& shared) : shared_(shared) {}
    ~ChangedJobs() { shared_.tell_watchers(); }
    ChangedJobs(const ChangedJobs&) = delete;
    ChangedJobs& operator=(const ChangedJobs&) = delete;
    SharedController& shared_;
  };
  // As run(), for what has to be done all the same.
  template <typename Call>
  void run_always(const Call& call) {
    const Announcement announcement(changed_);
    const std::lock_guard lock(mutex_);
    const ChangedJobs changed(*this);
    call(controller_);
  }
  template <typename Call>
  auto answered(const Call& call) {
    if constexpr (std::is_void_v<decltype(call(controller_))>) {
      call(controller_);
      look_for_loss();
    } else {
      auto answer = call(controller_);
      look_for_loss();
      return answer;
    }
  }
  // What the disk of the state says, which may take for ever: asked without mutex_.
  struct StateLook {
    std::string loss;
    std::optional<DiskSpace> space = std::nullopt;  // absent: was not asked for, or is not known
    bool was_due = false;                           // whether it was asked for
  };
  StateLook look_at_state();
  void run_timer();
  void show_ticking(bool is_ticking);
  void take_exits();
  void tell_watchers();
  // The caller has mutex_.
  void refuse_if_lost() const;
  void note_loss(const std::string& loss);   // empty: there is none
  void look_for_loss();                      // and refuses
  void keep_state(const std::string& loss);  // from the timer's thread
  // Holds the core after a write that failed. True where the bytes of the reserve are free now, for another try.
  bool hold_writes(const StoreError& failure);
  void take_failures();  // of what was tried without anybody waiting for it
  void keep_room(const StateLook& look);
  void try_to_go_on();
  void show_space(const std::optional<DiskSpace>& space);

  JobController& controller_;
  std::mutex mutex_;                 // guards controller_ and all below
  std::condition_variable changed_;  // for let_leave() and end_attempts()
  bool is_in_hurry_ = false;
  StateWatch state_;
  std::string loss_;  // empty: none
  bool is_loss_told_ = false;
  int ticks_ = 0;  // since the last touch
  int ticks_since_look_ = 0;
  std::string nearly_full_;  // what people are told of the disk; empty: there is room
  std::string damage_;       // the newest that was logged
  std::mutex timer_mutex_;   // guards all below; taken after mutex_ where both are held
  std::condition_variable due_;
  std::deque<LaunchExit> exits_;
  bool is_due_ = false;
  bool is_stopping_ = false;
  JobWatchers watchers_;                 // its thread reads the core
  std::atomic<bool> is_storing_ = true;  // neither held nor lost
  std::atomic<bool> is_ticking_ = true;
  std::atomic<std::uint64_t> ended_ticks_ = 0;
  std::mutex ticking_mutex_;  // guards the one below
  std::function<void(bool)> on_ticking_;
  std::thread thread_;
  std::optional<TickWatch> tick_watch_;
};

}  // namespace equipoise::coordinator
