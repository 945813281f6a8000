#include "experiments/opinions/run_display.h"

#include <chrono>
#include <optional>
#include <utility>

#include "client/progress/progress_line.h"
#include "client/progress/terminal_codes.h"
#include "client/table/display_width.h"

namespace equipoise::reproduce {
namespace {

constexpr std::chrono::milliseconds kBetweenRunDrawings{100};

class RunDisplay final : public ProgressDisplay {
 public:
  RunDisplay(const Console& console, std::string prefix) : console_(console), prefix_(std::move(prefix)) {
    console_.out << kHideCursor << std::flush;
  }
  ~RunDisplay() override { finish(); }
  RunDisplay(const RunDisplay&) = delete;
  RunDisplay& operator=(const RunDisplay&) = delete;

  void show(const v1::TrainingJob& job, SteadyTime now) override {
    view_ = progress_view(job);
    if (drawn_ && now - *drawn_ < kBetweenRunDrawings) return;
    draw();
    drawn_ = now;
  }

  void note(const std::string& text) override {
    console_.out << kClearLine << text << "\n";
    draw();
  }

  void finish() override {
    if (finished_) return;
    finished_ = true;
    console_.out << kClearLine << kShowCursor << std::flush;
  }

 private:
  void draw() {
    const std::size_t columns = console_.columns() - 1;
    const std::size_t used = display_width(prefix_);
    if (!view_ || used >= columns) return;
    console_.out << kClearLine << prefix_ << bar_line(*view_, columns - used, console_.glyphs) << std::flush;
  }

  Console console_;
  std::string prefix_;
  std::optional<ProgressView> view_;
  std::optional<SteadyTime> drawn_;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<ProgressDisplay> make_run_display(const Console& console, std::string prefix) {
  if (console.kind != OutputKind::kTerminal) return make_silent_display();
  return std::make_unique<RunDisplay>(console, std::move(prefix));
}

}  // namespace equipoise::reproduce
