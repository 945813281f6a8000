// One line at the bottom of a terminal that is drawn again in place. Each display of progress on a terminal is one.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "client/console.h"
#include "client/progress/progress_line.h"

namespace equipoise {

// What becomes of the line at the end.
enum class LastLine { kKeep, kErase };

// Hides the cursor while it lives. Not thread-safe.
class TerminalLine {
 public:
  // `prefix` stands before the line, "5/21  ".
  TerminalLine(const Console& console, LastLine last, std::string prefix = "");
  ~TerminalLine();  // finish()
  TerminalLine(const TerminalLine&) = delete;
  TerminalLine& operator=(const TerminalLine&) = delete;

  // Draws it, unless that was done less than a tenth of a second before; then note() or finish() will.
  void show(ProgressView view, std::chrono::steady_clock::time_point now);
  void note(const std::string& text);  // a sentence that stays, above the line
  void finish();                       // gives the cursor back; nothing is drawn any more

 private:
  void draw();

  Console console_;
  LastLine last_;
  std::string prefix_;
  std::optional<ProgressView> view_;
  std::optional<std::chrono::steady_clock::time_point> drawn_;
  bool finished_ = false;
};

}  // namespace equipoise
