// Work of this process that people see the progress of, and that Ctrl-C ends.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "client/connection/interrupts.h"
#include "client/console/console.h"
#include "client/progress/read_progress.h"

namespace equipoise {

// While it lives, Ctrl-C, SIGTERM and SIGHUP end nothing by themselves: the next look at them throws CommandError
// (interrupted), so that files aside are removed. A second one ends the process at once: a disk may be silent.
class InterruptCheck {
 public:
  InterruptCheck();
  void throw_if_interrupted() const;

 private:
  std::atomic<bool> is_interrupted_ = false;
  Interrupts interrupts_;  // last: it uses the one above
};

class InterruptibleRead {
 public:
  //   label  the verb: "verify"
  InterruptibleRead(const Console& console, std::string label, std::int64_t total_bytes);

  void add(std::int64_t bytes);  // that were read since the call before; throws after Ctrl-C
  void note(const std::string& text) { progress_.note(text); }
  // add() for functions that read. This outlives it.
  std::function<void(std::int64_t)> on_bytes() {
    return [this](std::int64_t bytes) { add(bytes); };
  }

 private:
  InterruptCheck interrupts_;
  ReadProgress progress_;
};

class InterruptibleParts {
 public:
  InterruptibleParts(const Console& console, std::string label);

  // PartProgress::show(); throws after Ctrl-C.
  void show(const std::string& part, double share);

 private:
  InterruptCheck interrupts_;
  PartProgress progress_;
};

}  // namespace equipoise
