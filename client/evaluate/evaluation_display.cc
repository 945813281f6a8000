#include "client/evaluate/evaluation_display.h"

#include "client/progress/terminal_codes.h"

namespace equipoise {
namespace {

constexpr std::chrono::seconds kLongestSilence{10};

ProgressView view_of(const EvaluationState& state) {
  return {.label = "evaluate",
          .activity = state.activity,
          .step = state.percent,
          .total_steps = 100,
          .pairs_per_second = {},
          .time_left = {},
          .loss = {},
          .worst = {}};
}

}  // namespace

EvaluationDisplay::EvaluationDisplay(const Console& console) : console_(console) {
  if (console_.kind == OutputKind::kTerminal) console_.out << kHideCursor << std::flush;
}

EvaluationDisplay::~EvaluationDisplay() { finish(); }

void EvaluationDisplay::show(const EvaluationState& state, std::chrono::steady_clock::time_point now) {
  if (!is_due(state, now)) return;
  shown_ = state;
  shown_at_ = now;
  draw();
}

bool EvaluationDisplay::is_due(const EvaluationState& state, std::chrono::steady_clock::time_point now) const {
  if (!shown_ || state.activity != shown_->activity) return true;
  if (state.percent == shown_->percent) return false;
  return console_.kind == OutputKind::kTerminal || now - shown_at_ >= kLongestSilence;
}

void EvaluationDisplay::draw() {
  if (!shown_) return;
  if (console_.kind == OutputKind::kTerminal) {
    // The last column stays free: some terminals wrap as soon as it is written.
    console_.out << kClearLine << bar_line(view_of(*shown_), console_.columns() - 1, console_.glyphs) << std::flush;
    return;
  }
  console_.out << "evaluate  " << shown_->activity;
  if (shown_->percent > 0) console_.out << "  " << shown_->percent << " %";
  console_.out << std::endl;
}

void EvaluationDisplay::note(const std::string& text) {
  if (console_.kind == OutputKind::kTerminal) console_.out << kClearLine;
  console_.out << text << std::endl;
  if (console_.kind == OutputKind::kTerminal) draw();
}

void EvaluationDisplay::finish() {
  if (finished_) return;
  finished_ = true;
  if (console_.kind == OutputKind::kTerminal) console_.out << kClearLine << kShowCursor << std::flush;
}

}  // namespace equipoise
