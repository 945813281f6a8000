#include "client/evaluate/evaluation_display.h"

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

EvaluationDisplay::EvaluationDisplay(const Console& console) : out_(console.out) {
  if (console.kind == OutputKind::kTerminal) line_.emplace(console, LastLine::kErase);
}

void EvaluationDisplay::show(const EvaluationState& state, std::chrono::steady_clock::time_point now) {
  if (line_) return line_->show(view_of(state), now);
  if (!is_due(state, now)) return;
  shown_ = state;
  shown_at_ = now;
  out_ << "evaluate  " << state.activity;
  if (state.percent > 0) out_ << "  " << state.percent << " %";
  out_ << std::endl;
}

bool EvaluationDisplay::is_due(const EvaluationState& state, std::chrono::steady_clock::time_point now) const {
  if (!shown_ || state.activity != shown_->activity) return true;
  return state.percent != shown_->percent && now - shown_at_ >= kLongestSilence;
}

void EvaluationDisplay::note(const std::string& text) {
  if (line_) return line_->note(text);
  out_ << text << std::endl;
}

void EvaluationDisplay::finish() {
  if (line_) line_->finish();
}

}  // namespace equipoise
