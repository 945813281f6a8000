#include "worker/client/rank_progress.h"

#include <utility>

namespace equipoise {

RankProgress::Reading RankProgress::read() const {
  const std::lock_guard lock(mutex_);
  return {.phase = phase_,
          .phase_text = text_,
          .counter = counter_.load(std::memory_order_relaxed),
          .last_collective = last_collective_.load(),
          .is_in_collective = collectives_ > 0,
          .polls = polls_ ? polls_() : 0};
}

void RankProgress::set_phase(v1::RankPhase phase, std::string text) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  text_ = text.empty() ? phase_name(phase) : std::move(text);
  advance();
}

bool WaitWatch::is_waiting(const RankProgress::Reading& reading, bool has_polls, Clock::time_point now) {
  constexpr std::chrono::seconds kShortest{1};
  constexpr int kMostIdle = 2;
  const bool has_moved = reading.counter != counter_ || reading.polls != polls_;
  if (has_moved) {
    counter_ = reading.counter;
    polls_ = reading.polls;
    idle_ = 0;
    looked_at_ = now;
  } else if (now - looked_at_ >= kShortest) {
    ++idle_;
    looked_at_ = now;
  }
  return reading.is_in_collective && (!has_polls || idle_ < kMostIdle);
}

}  // namespace equipoise
