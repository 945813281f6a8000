#include "worker/client/heartbeat.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/protocol/heartbeat_limits.h"

namespace equipoise {
namespace {

using namespace std::chrono_literals;

// Of one try: after it there is time for another one.
constexpr auto kLongestTry = 10s;
// While training waits for an answer.
constexpr std::chrono::milliseconds kIntervalOfWaiting{250};
// A rank that was stopped for longer than its lease asks once whether it is counted on.
constexpr auto kShortestTry = 1s;
constexpr auto kLongestFlush = 2s;
constexpr int kExitLeaseLost = 75;
constexpr int kExitAskedToEnd = 77;

}  // namespace

Heartbeat::Heartbeat(CoordinatorClient& client, AttemptId attempt, int rank, std::function<void()> on_held,
                     RankProgress* progress, HeartbeatTimes times)
    : client_(client),
      attempt_(std::move(attempt)),
      rank_(rank),
      on_held_(std::move(on_held)),
      times_(times),
      progress_(progress != nullptr ? *progress : own_progress_),
      thread_([this] { run(); }) {}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Heartbeat::set_phase(v1::RankPhase phase, std::string text) {
  progress_.set_phase(phase, std::move(text));
  {
    const std::lock_guard lock(mutex_);
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
    has_news_ = has_untold_ = true;
  }
  changed_.notify_all();
}

void Heartbeat::flush() {
  std::unique_lock lock(mutex_);
  answered_.wait_for(lock, kLongestFlush, [this] { return !has_untold_ || must_end_; });
}

void Heartbeat::set_waits_for_room(bool waits) {
  waits_for_room_ = waits;
  {
    const std::lock_guard lock(mutex_);
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
  if (!must_end_ && is_fresh()) return;
  std::unique_lock lock(mutex_);
  answered_.wait(lock, [this] { return must_end_ || is_fresh(); });
  if (must_end_) throw AttemptEnded(end_reason_);
}

void Heartbeat::beat() {
  v1::HeartbeatRequest request;
  request.set_job_id(attempt_.job_id);
  request.set_generation(attempt_.generation);
  request.set_rank(rank_);
  request.set_step(step_);
  {
    const std::lock_guard lock(mutex_);
    has_news_ = false;
    request.mutable_warnings()->Add(warnings_.begin(), warnings_.end());
    warnings_.clear();
    request.set_pause_failure(pause_failure_);
    pause_failure_.clear();
  }
  const RankProgress::Reading progress = progress_.read();
  request.set_phase(progress.phase_text);
  request.set_rank_phase(progress.phase);
  request.set_progress(progress.counter);
  request.set_last_collective(progress.last_collective);
  request.set_is_in_collective(waits_.is_waiting(progress, progress_.has_polls()));
  request.set_waits_for_room(waits_for_room_);
  std::string reason;
  const auto sent = Clock::now();
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(acknowledged_.load() + client_.patience() - sent);
  try {
    const v1::HeartbeatResponse answer =
        client_.heartbeat(request, std::clamp<std::chrono::milliseconds>(left, kShortestTry, kLongestTry));
    set_acknowledged(sent);
    note_arrival();
    if (answer.is_held() && on_held_) on_held_();
    checkpoints_.hear(answer.checkpoint_requests());
    evaluations_.hear(answer.evaluation_requests());
    settings_version_ = answer.settings_version();
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
  {
    const std::lock_guard lock(mutex_);
    end_reason_ = reason;
    must_end_ = true;
  }
  answered_.notify_all();
}

void Heartbeat::set_acknowledged(Clock::time_point sent) {
  {
    const std::lock_guard lock(mutex_);
    acknowledged_ = sent;
  }
  answered_.notify_all();
}

void Heartbeat::note_arrival() {
  {
    const std::lock_guard lock(mutex_);
    has_untold_ = !warnings_.empty();
  }
  answered_.notify_all();
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

void Heartbeat::end_where_lease_is_over(const std::exception& failure) const {
  if (Clock::now() - acknowledged_.load() < client_.patience()) return;
  std::fprintf(stderr, "rank %d: %s; no answer for %lld s, this rank ends\n", rank_,
               one_line(failure.what(), kLongestWarning).c_str(), static_cast<long long>(client_.patience().count()));
  _exit(kExitLeaseLost);
}

void Heartbeat::run() {
  std::optional<Clock::time_point> asked_to_end;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    try {
      if (!must_end_) beat();
    } catch (const PeerError& failure) {
      end_where_lease_is_over(failure);
    }
    if (must_end_ && !asked_to_end) asked_to_end = Clock::now();
    if (asked_to_end && Clock::now() - *asked_to_end >= times_.grace) _exit(kExitAskedToEnd);
    const auto end = asked_to_end ? *asked_to_end + times_.grace : acknowledged_.load() + client_.patience();
    const auto interval = is_fresh() ? times_.interval : std::min(times_.interval, kIntervalOfWaiting);
    const auto next = std::min(Clock::now() + interval, end);
    lock.lock();
    changed_.wait_until(lock, next, [this] { return stopping_ || (has_news_ && !must_end_); });
  }
}

}  // namespace equipoise
