#include "client/progress/terminal_line.h"

#include <utility>

#include "client/table/display_width.h"

namespace equipoise {
namespace {

constexpr std::chrono::milliseconds kBetweenDrawings{100};
constexpr const char* kHideCursor = "\x1b[?25l";
constexpr const char* kShowCursor = "\x1b[?25h";
constexpr const char* kClearLine = "\r\x1b[2K";

}  // namespace

TerminalLine::TerminalLine(const Console& console, LastLine last, std::string prefix)
    : console_(console), last_(last), prefix_(std::move(prefix)) {
  console_.out << kHideCursor << std::flush;
}

TerminalLine::~TerminalLine() { finish(); }

void TerminalLine::show(ProgressView view, std::chrono::steady_clock::time_point now) {
  view_ = std::move(view);
  if (drawn_ && now - *drawn_ < kBetweenDrawings) return;
  draw();
  drawn_ = now;
}

void TerminalLine::note(const std::string& text) {
  console_.out << kClearLine << text << "\n";
  draw();
}

void TerminalLine::finish() {
  if (finished_) return;
  finished_ = true;
  if (last_ == LastLine::kKeep) {
    draw();
    console_.out << (view_ ? "\n" : "");
  } else {
    console_.out << kClearLine;
  }
  console_.out << kShowCursor << std::flush;
}

void TerminalLine::draw() {
  // The last column stays free: some terminals wrap as soon as it is written.
  const std::size_t columns = console_.columns() - 1, used = display_width(prefix_);
  if (!view_ || used >= columns) return;
  console_.out << kClearLine << prefix_ << bar_line(*view_, columns - used, console_.glyphs) << std::flush;
}

}  // namespace equipoise
