#include "worker/client/rank_progress.h"

#include <utility>

namespace equipoise {

RankProgress::Reading RankProgress::read() const {
  const std::lock_guard lock(mutex_);
  return {.phase = phase_,
          .phase_text = text_,
          .counter = counter_.load(std::memory_order_relaxed),
          .last_collective = last_collective_.load(),
          .is_in_collective = collectives_ > 0};
}

void RankProgress::set_phase(v1::RankPhase phase, std::string text) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  text_ = text.empty() ? phase_name(phase) : std::move(text);
  advance();
}

}  // namespace equipoise
