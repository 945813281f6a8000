#include "client/progress/progress_display.h"
#include "client/progress/progress_line.h"
#include "client/progress/terminal_line.h"

namespace equipoise {
namespace {

class LiveDisplay final : public ProgressDisplay {
 public:
  explicit LiveDisplay(const Console& console) : line_(console, LastLine::kKeep) {}

  void show(const v1::TrainingJob& job, SteadyTime now) override {
    line_.show(progress_view(job), now);
    if (evaluations_.is_new(job)) line_.note(evaluation_line(job));
  }
  void note(const std::string& text) override { line_.note(text); }
  void finish() override { line_.finish(); }

 private:
  TerminalLine line_;
  EvaluationMemory evaluations_;
};

}  // namespace

std::unique_ptr<ProgressDisplay> make_live_display(const Console& console) {
  return std::make_unique<LiveDisplay>(console);
}

}  // namespace equipoise
