#include "client/connection/interruptible_work.h"

#include <chrono>
#include <cstdlib>
#include <utility>

namespace equipoise {
namespace {

SteadyTime work_time() { return std::chrono::steady_clock::now(); }

}  // namespace

InterruptCheck::InterruptCheck()
    : interrupts_([this](int) {
        if (is_interrupted_.exchange(true)) std::_Exit(static_cast<int>(ExitCode::kInterrupted));
      }) {}

void InterruptCheck::throw_if_interrupted() const {
  if (is_interrupted_) throw CommandError(ExitCode::kInterrupted, "interrupted");
}

InterruptibleRead::InterruptibleRead(const Console& console, std::string label, std::int64_t total_bytes)
    : progress_(console, std::move(label), total_bytes, work_time()) {}

void InterruptibleRead::add(std::int64_t bytes) {
  interrupts_.throw_if_interrupted();
  progress_.add(bytes, work_time());
}

InterruptibleParts::InterruptibleParts(const Console& console, std::string label)
    : progress_(console, std::move(label), work_time()) {}

void InterruptibleParts::show(const std::string& part, double share) {
  interrupts_.throw_if_interrupted();
  progress_.show(part, share, work_time());
}

}  // namespace equipoise
