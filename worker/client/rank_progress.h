// What this rank does, and whether it goes on: what its heartbeats tell. A rank whose heartbeats come and whose
// progress stands still has failed, unless it waits for another one in a collective.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "common/protocol/rank_phase.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// Any thread. A step of a few microseconds has several collectives, so that these take no lock.
class RankProgress {
 public:
  struct Reading {
    v1::RankPhase phase;
    std::string phase_text;  // the same with details: "reference log-probs, 40 %"
    std::int64_t counter;
    std::string last_collective;
    bool is_in_collective;
    std::int64_t polls;
  };
  Reading read() const;
  bool has_polls() const { return static_cast<bool>(polls_); }

  // What grows while a thread that waits in a collective runs; without it such a thread is taken to run. Before any
  // other thread.
  void set_polls(std::function<std::int64_t()> polls) { polls_ = std::move(polls); }

  // Something is done: a micro-batch, a file, a part of a checkpoint.
  void advance() { counter_.fetch_add(1, std::memory_order_relaxed); }
  // `text` in place of phase_name(phase); a new phase or text is progress.
  void set_phase(v1::RankPhase phase, std::string text = "");
  // While true, collectives are no progress: the thread that makes them only waits for another one of this rank, which
  // has to call advance().
  void set_works_aside(bool works_aside) { works_aside_ = works_aside; }

  // While it lives, this rank is in a collective. `name` is a literal; all live as long as `progress`.
  class InCollective {
   public:
    InCollective(RankProgress& progress, const char* name) : progress_(progress) {
      progress_.last_collective_ = name;
      progress_.collectives_.fetch_add(1);
    }
    ~InCollective() {
      progress_.collectives_.fetch_sub(1);
      if (!progress_.works_aside_) progress_.advance();
    }
    InCollective(const InCollective&) = delete;
    InCollective& operator=(const InCollective&) = delete;

   private:
    RankProgress& progress_;
  };

 private:
  std::function<std::int64_t()> polls_;
  std::atomic<std::int64_t> counter_ = 0;
  std::atomic<const char*> last_collective_ = "";
  std::atomic<int> collectives_ = 0;  // that this rank is in
  std::atomic<bool> works_aside_ = false;
  mutable std::mutex mutex_;  // guards all below
  v1::RankPhase phase_ = v1::RANK_PHASE_STARTING;
  std::string text_ = phase_name(v1::RANK_PHASE_STARTING);
};

// Whether a rank that is in a collective waits there: its thread runs, and polls. Of the readings of one rank, in
// order.
class WaitWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // Not where it was in the same collective without a poll at two readings of before, each at least a second later than
  // the one before it: a process that was stopped as a whole begins to poll again after its heartbeats do.
  bool is_waiting(const RankProgress::Reading& reading, bool has_polls, Clock::time_point now = Clock::now());

 private:
  std::int64_t counter_ = -1, polls_ = -1;
  int idle_ = 0;
  Clock::time_point looked_at_;
};

}  // namespace equipoise
