#include "client/progress/progress_display.h"
#include "client/progress/progress_line.h"
#include "client/progress/terminal_codes.h"
#include "client/table/display_width.h"

namespace equipoise {
namespace {

// Ten times a second is as smooth as an eye asks for.
constexpr std::chrono::milliseconds kBetweenDrawings{100};

class LiveDisplay final : public ProgressDisplay {
 public:
  explicit LiveDisplay(const Console& console) : console_(console) { console_.out << kHideCursor << std::flush; }
  ~LiveDisplay() override { finish(); }
  LiveDisplay(const LiveDisplay&) = delete;
  LiveDisplay& operator=(const LiveDisplay&) = delete;

  void show(const v1::TrainingJob& job, SteadyTime now) override {
    view_ = progress_view(job);
    if (evaluations_.is_new(job)) note(evaluation_line(job));
    if (drawn_ && now - *drawn_ < kBetweenDrawings) return;
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
    draw();
    console_.out << (view_ ? "\n" : "") << kShowCursor << std::flush;
  }

 private:
  void draw() {
    if (!view_) return;
    // The last column stays free: some terminals wrap as soon as it is written.
    const std::size_t columns = console_.columns() - 1;
    console_.out << kClearLine << bar_line(*view_, columns, console_.glyphs) << std::flush;
  }

  Console console_;
  std::optional<ProgressView> view_;
  std::optional<SteadyTime> drawn_;
  bool finished_ = false;
  EvaluationMemory evaluations_;
};

}  // namespace

std::unique_ptr<ProgressDisplay> make_live_display(const Console& console) {
  return std::make_unique<LiveDisplay>(console);
}

}  // namespace equipoise
