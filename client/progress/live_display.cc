#include <utility>

#include "client/progress/progress_display.h"
#include "client/progress/progress_line.h"
#include "client/progress/terminal_line.h"

namespace equipoise {
namespace {

enum class Evaluations { kShown, kHidden };

class LiveDisplay final : public ProgressDisplay {
 public:
  LiveDisplay(const Console& console, LastLine last, Evaluations evaluations, std::string prefix = "")
      : line_(console, last, std::move(prefix)), evaluations_(evaluations) {}

  void show(const v1::TrainingJob& job, SteadyTime now) override {
    line_.show(progress_view(job), now);
    if (evaluations_ == Evaluations::kShown && seen_.is_new(job)) line_.note(evaluation_line(job));
  }
  void note(const std::string& text) override { line_.note(text); }
  void finish() override { line_.finish(); }

 private:
  TerminalLine line_;
  const Evaluations evaluations_;
  EvaluationMemory seen_;
};

}  // namespace

std::unique_ptr<ProgressDisplay> make_live_display(const Console& console) {
  return std::make_unique<LiveDisplay>(console, LastLine::kKeep, Evaluations::kShown);
}

std::unique_ptr<ProgressDisplay> make_display_among_many(const Console& console, std::string prefix) {
  if (console.kind != OutputKind::kTerminal) return make_silent_display();
  return std::make_unique<LiveDisplay>(console, LastLine::kErase, Evaluations::kHidden, std::move(prefix));
}

}  // namespace equipoise
