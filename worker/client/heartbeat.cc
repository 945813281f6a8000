#include "worker/client/heartbeat.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/protocol/heartbeat_limits.h"

namespace equipoise {
namespace {

using namespace std::chrono_literals;

constexpr auto kInterval = 2s;
constexpr auto kGrace = 10s;
constexpr int kExitLeaseLost = 75;
constexpr int kExitAskedToEnd = 77;

}  // namespace

Heartbeat::Heartbeat(CoordinatorClient& client, AttemptId attempt, int rank, std::function<void()> on_held)
    : client_(client), attempt_(std::move(attempt)), rank_(rank), on_held_(std::move(on_held)), thread_([this] {
        run();
      }) {}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Heartbeat::set_phase(const std::string& phase) {
  {
    const std::lock_guard lock(mutex_);
    phase_ = phase;
    has_news_ = true;
  }
  changed_.notify_all();
}

void Heartbeat::warn(std::string sentence) {
  sentence = is_utf8(sentence) ? one_line(sentence, kLongestWarning) : quoted_text(sentence);
  {
    const std::lock_guard lock(mutex_);
    if (warnings_.size() == kMostWarnings) warnings_.pop_front();
    warnings_.push_back(std::move(sentence));
    has_news_ = true;
  }
  changed_.notify_all();
}

void Heartbeat::pause_failed(std::string sentence) {
  {
    const std::lock_guard lock(mutex_);
    pause_failure_ = is_utf8(sentence) ? one_line(sentence, kLongestWarning) : quoted_text(sentence);
    has_news_ = true;
    wants_pause_ = false;
  }
  changed_.notify_all();
}

void Heartbeat::check() const {
  if (!must_end_) return;
  const std::lock_guard lock(mutex_);
  throw AttemptEnded(end_reason_);
}

void Heartbeat::beat() {
  v1::HeartbeatRequest request;
  request.set_job_id(attempt_.job_id);
  request.set_generation(attempt_.generation);
  request.set_rank(rank_);
  request.set_step(step_);
  {
    const std::lock_guard lock(mutex_);
    request.set_phase(phase_);
    has_news_ = false;
    request.mutable_warnings()->Add(warnings_.begin(), warnings_.end());
    warnings_.clear();
    request.set_pause_failure(pause_failure_);
    pause_failure_.clear();
  }
  std::string reason;
  try {
    const v1::HeartbeatResponse answer = client_.heartbeat(request);
    if (answer.is_held() && on_held_) on_held_();
    wanted_checkpoints_ = answer.checkpoint_requests();
    set_wants_pause(answer.command() == v1::HeartbeatResponse::COMMAND_PAUSE);
    if (answer.command() != v1::HeartbeatResponse::COMMAND_EXIT) return;
    reason = "the coordinator asked this rank to end";
  } catch (const AttemptEnded& ended) {
    reason = ended.what();
  } catch (const std::invalid_argument& refused) {
    reason = refused.what();
  } catch (const PeerError&) {
    keep_warnings(request);
    throw;
  }
  const std::lock_guard lock(mutex_);
  end_reason_ = reason;
  must_end_ = true;
}

// Those of a heartbeat that did not arrive, before those that came since.
void Heartbeat::keep_warnings(const v1::HeartbeatRequest& request) {
  const std::lock_guard lock(mutex_);
  warnings_.insert(warnings_.begin(), request.warnings().begin(), request.warnings().end());
  while (warnings_.size() > kMostWarnings) warnings_.pop_front();
  if (pause_failure_.empty()) pause_failure_ = request.pause_failure();
}

// An answer to a heartbeat that did not tell yet that the pause has failed asks for no other one.
void Heartbeat::set_wants_pause(bool wants_pause) {
  const std::lock_guard lock(mutex_);
  wants_pause_ = wants_pause && pause_failure_.empty();
}

void Heartbeat::run() {
  auto last_answer = std::chrono::steady_clock::now();
  auto asked_to_end = std::chrono::steady_clock::time_point::max();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    try {
      if (!must_end_) beat();
      last_answer = std::chrono::steady_clock::now();
    } catch (const PeerError& failure) {
      if (std::chrono::steady_clock::now() - last_answer > client_.patience()) {
        std::fprintf(stderr, "rank %d: %s; no answer for %lld s, this rank ends\n", rank_,
                     one_line(failure.what(), kLongestWarning).c_str(),
                     static_cast<long long>(client_.patience().count()));
        _exit(kExitLeaseLost);
      }
    }
    if (must_end_ && asked_to_end == std::chrono::steady_clock::time_point::max()) {
      asked_to_end = std::chrono::steady_clock::now();
    }
    if (must_end_ && std::chrono::steady_clock::now() - asked_to_end > kGrace) _exit(kExitAskedToEnd);
    lock.lock();
    changed_.wait_for(lock, kInterval, [this] { return stopping_ || (has_news_ && !must_end_); });
  }
}

}  // namespace equipoise
