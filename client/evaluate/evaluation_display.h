// Shows how far an evaluation is: one line drawn again in place on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "client/console.h"
#include "client/progress/terminal_line.h"

namespace equipoise {

struct EvaluationState {
  std::string activity;      // "policy log-probs"
  std::int64_t percent = 0;  // of the activity
};

// Not thread-safe.
class EvaluationDisplay {
 public:
  explicit EvaluationDisplay(const Console& console);

  void show(const EvaluationState& state, std::chrono::steady_clock::time_point now);
  void note(const std::string& text);  // a sentence that stays
  void finish();                       // leaves the terminal as it was; the destructor does so too

 private:
  bool is_due(const EvaluationState& state, std::chrono::steady_clock::time_point now) const;

  std::ostream& out_;
  std::optional<TerminalLine> line_;  // on a terminal; the rest is for elsewhere
  std::optional<EvaluationState> shown_;
  std::chrono::steady_clock::time_point shown_at_;
};

}  // namespace equipoise
