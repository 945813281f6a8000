// Tells the coordinator every 2 s that this rank lives and what it does, from a thread of its own.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "worker/client/coordinator_client.h"

namespace equipoise {

struct AttemptId {
  std::string job_id;
  std::int64_t generation = 0;
};

class Heartbeat {
 public:
  // `client` outlives it. Without an answer for the patience of `client` the process ends with exit code 75: by then
  // nobody may count on this rank. `on_held` is called with each answer that says that ranks wait because nothing can
  // be stored, from the thread.
  Heartbeat(CoordinatorClient& client, AttemptId attempt, int rank, std::function<void()> on_held = {});
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  // What this rank does now; sent at once. Any thread.
  void set_phase(const std::string& phase);
  void set_step(std::int64_t step) { step_ = step; }
  // A sentence for the job's conditions; sent at once, and again until it has arrived. Any thread. The newest 16 wait.
  void warn(std::string sentence);

  // Whether the coordinator wants this rank to make a checkpoint and leave. Any thread.
  bool wants_pause() const { return wants_pause_; }
  // Whether it wants a checkpoint that was not made yet. Any thread.
  bool wants_checkpoint() const { return wanted_checkpoints_ > made_checkpoints_; }
  // One is being made: later wishes are for another one.
  void checkpoint_begins() { made_checkpoints_ = wanted_checkpoints_.load(); }
  // The same of an evaluation.
  bool wants_evaluation() const { return wanted_evaluations_ > made_evaluations_; }
  void evaluation_begins() { made_evaluations_ = wanted_evaluations_.load(); }
  // Of the newest change of settings that people have made; 0: none. Any thread.
  std::int64_t settings_version() const { return settings_version_; }
  // The pause has failed: the coordinator is told, sent at once and again until it has arrived. Rank 0.
  void pause_failed(std::string sentence);

  // Throws AttemptEnded when the coordinator has asked this rank to end. Called at every step boundary. A rank that
  // does not come here within 10 s of being asked (it waits for a peer that is gone) is ended by the thread.
  void check() const;

 private:
  void run();
  void beat();
  void set_wants_pause(bool wants_pause);
  void keep_warnings(const v1::HeartbeatRequest& request);

  CoordinatorClient& client_;
  const AttemptId attempt_;
  const int rank_;
  const std::function<void()> on_held_;
  std::atomic<std::int64_t> step_ = 0;
  std::atomic<bool> must_end_ = false;
  std::atomic<bool> wants_pause_ = false;
  std::atomic<std::int64_t> wanted_checkpoints_ = 0, made_checkpoints_ = 0;
  std::atomic<std::int64_t> wanted_evaluations_ = 0, made_evaluations_ = 0;
  std::atomic<std::int64_t> settings_version_ = 0;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::string phase_ = "starting";
  std::deque<std::string> warnings_;  // not yet arrived
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
