// Tells the coordinator every 2 s that this rank lives and what it does, from a thread of its own.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "worker/client/coordinator_client.h"
#include "worker/client/rank_progress.h"

namespace equipoise {

struct AttemptId {
  std::string job_id;
  std::int64_t generation = 0;
};

struct HeartbeatTimes {
  std::chrono::milliseconds interval{2000};
  std::chrono::milliseconds fresh{10'000};  // after the newest heartbeat that was answered
  std::chrono::milliseconds grace{8000};    // to end after being asked to: less than the coordinator waits
};

// What people may ask for several times, as the coordinator counts it. Any thread hears, one begins.
class CountedWish {
 public:
  bool is_open() const { return heard_ > begun_; }
  void begin() { begun_ = heard_.load(); }
  // A coordinator that has taken the attempt over counts from the beginning again.
  void hear(std::int64_t requests) {
    if (requests < heard_) begun_ = is_open() ? requests - 1 : requests;
    heard_ = requests;
  }

 private:
  std::atomic<std::int64_t> heard_ = 0, begun_ = 0;
};

class Heartbeat {
 public:
  // `client` and `progress` outlive it; null: a progress of its own. The lease of this rank is the patience of
  // `client`, from the moment when the newest heartbeat that was answered was sent: then the process ends with exit
  // code 75, wherever its other threads are, before the coordinator counts on its end. `on_held` is called with each
  // answer that says that ranks wait because nothing can be stored, from the thread.
  Heartbeat(CoordinatorClient& client, AttemptId attempt, int rank, std::function<void()> on_held = {},
            RankProgress* progress = nullptr, HeartbeatTimes times = {});
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  // What this rank does; all that is told of it is sent with the next heartbeat.
  RankProgress& progress() { return progress_; }
  // progress().set_phase(), sent at once. Any thread.
  void set_phase(v1::RankPhase phase, std::string text = "");
  void set_step(std::int64_t step) {
    step_ = step;
    progress_.advance();
  }
  // A sentence for the job's conditions; sent at once, and again until it has arrived. Any thread. The newest 16 wait.
  void warn(std::string sentence);
  // Waits until it has arrived, 2 s at most: once a rank has said that it ends, nobody hears of it any more.
  void flush();

  // Whether the coordinator wants this rank to make a checkpoint and leave. Any thread.
  bool wants_pause() const { return wants_pause_; }
  // Whether it wants a checkpoint that was not made yet. Any thread.
  bool wants_checkpoint() const { return checkpoints_.is_open(); }
  // One is being made: later wishes are for another one.
  void checkpoint_begins() { checkpoints_.begin(); }
  // The same of an evaluation.
  bool wants_evaluation() const { return evaluations_.is_open(); }
  void evaluation_begins() { evaluations_.begin(); }
  // Of the newest change of settings that people have made; 0: none. Any thread.
  std::int64_t settings_version() const { return settings_version_; }
  // Rank 0 waits for room on the disk of the output: all ranks hear so and wait for it, however long. Sent at once. Any
  // thread.
  void set_waits_for_room(bool waits);
  // The pause has failed: the coordinator is told, sent at once and again until it has arrived. Rank 0.
  void pause_failed(std::string sentence);

  // Called at every step boundary. Throws AttemptEnded when the coordinator has asked this rank to end; one that does
  // not come here within 8 s of being asked (it waits for a peer that is gone) is ended by the thread. Without an
  // answer to a heartbeat of the last 10 s it waits for one, as the coordinator may have given up this rank.
  void check() const;

 private:
  using Clock = std::chrono::steady_clock;
  void run();
  void beat();
  void set_acknowledged(Clock::time_point sent);
  void end_where_lease_is_over(const std::exception& failure) const;
  bool is_fresh() const { return Clock::now() - acknowledged_.load() <= times_.fresh; }
  void set_wants_pause(bool wants_pause);
  void note_arrival();
  void keep_warnings(const v1::HeartbeatRequest& request);

  CoordinatorClient& client_;
  const AttemptId attempt_;
  const int rank_;
  const std::function<void()> on_held_;
  const HeartbeatTimes times_;
  WaitWatch waits_;  // of thread_
  RankProgress own_progress_;
  RankProgress& progress_;
  std::atomic<std::int64_t> step_ = 0;
  std::atomic<bool> must_end_ = false;
  std::atomic<Clock::time_point> acknowledged_ = Clock::now();  // when the newest one that was answered was sent
  std::atomic<bool> wants_pause_ = false;
  std::atomic<bool> waits_for_room_ = false;
  CountedWish checkpoints_, evaluations_;
  std::atomic<std::int64_t> settings_version_ = 0;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  mutable std::condition_variable answered_;
  std::deque<std::string> warnings_;  // not yet sent
  bool has_untold_ = false;           // of warnings, those that are under way among them
  std::string pause_failure_;         // not yet arrived
  bool has_news_ = true;
  bool stopping_ = false;
  std::string end_reason_;
  std::thread thread_;
};

// Hands what a rank's log warns of to people: the warnings become conditions of the job.

// For lines of level warning and above. `heartbeat` outlives the last line. May be used from several threads.
class WarningSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit WarningSink(Heartbeat& heartbeat) : heartbeat_(heartbeat) { set_level(spdlog::level::warn); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    heartbeat_.warn(std::string(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

  Heartbeat& heartbeat_;
};

}  // namespace equipoise
