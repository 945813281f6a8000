#include "experiments/opinions/run_display.h"

#include <utility>

#include "client/progress/progress_line.h"
#include "client/progress/terminal_line.h"

namespace equipoise::reproduce {
namespace {

class RunDisplay final : public ProgressDisplay {
 public:
  RunDisplay(const Console& console, std::string prefix) : line_(console, LastLine::kErase, std::move(prefix)) {}

  void show(const v1::TrainingJob& job, SteadyTime now) override { line_.show(progress_view(job), now); }
  void note(const std::string& text) override { line_.note(text); }
  void finish() override { line_.finish(); }

 private:
  TerminalLine line_;
};

}  // namespace

std::unique_ptr<ProgressDisplay> make_run_display(const Console& console, std::string prefix) {
  if (console.kind != OutputKind::kTerminal) return make_silent_display();
  return std::make_unique<RunDisplay>(console, std::move(prefix));
}

}  // namespace equipoise::reproduce
