// One line that says how far a job is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/console/console.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// The group that is worst off now: its loss and how much it counts.
struct WorstGroup {
  std::string name;
  double loss = 0;
  double weight = 0;
  bool is_of_validation = false;  // the loss; else of the newest batch
};

struct ProgressView {
  std::string label;             // the job's name
  std::string activity;          // what is being done where no step counts yet, or after the last; else empty
  std::int64_t step = 0;         // done
  std::int64_t total_steps = 0;  // 0: not known yet
  std::optional<double> pairs_per_second;
  std::optional<std::chrono::seconds> time_left;
  std::optional<double> loss;
  std::optional<WorstGroup> worst;
  int restarts = 0;
};

// What tells more: while a job is watched its newest batch, afterwards its newest evaluation. kNewest is that of the
// evaluation, but for one before the first step once steps are done: it says nothing of the training.
enum class LossOf { kBatch, kValidation, kNewest };

// Highest loss of `first`; where no group has one, of the other; nothing with a single group.
std::optional<WorstGroup> worst_group(const v1::TrainingJob& job, LossOf first = LossOf::kBatch);

// "restarted once", "restarted 2 times"; empty for a job that was not.
std::string restarts_text(int restarts);

ProgressView progress_view(const v1::TrainingJob& job);

// Whole percent done, rounded down; 0 while the total is unknown.
int percent_done(const ProgressView& view);

// For a terminal: a bar and as much text as fits in `columns`, never wider. What matters less is left out first:
// the label, the speed and the restarts, the loss, the bar, then the worst group's weight.
std::string bar_line(const ProgressView& view, std::size_t columns, Glyphs glyphs);

// For a file or a pipe: everything, without a bar; "step 50/200" once steps are done.
std::string plain_line(const ProgressView& view);

// Where there are several groups, a line for each, worst first: name, loss and of what it is, accuracy, weight, by
// their newest evaluation or, as long as there is none, their newest batch. At most `lines`; of those that are left out
// the last one says how many. None is wider than `columns`.
std::vector<std::string> worst_group_lines(const v1::TrainingJob& job, std::size_t lines, std::size_t columns);

// The newest evaluation: "gr-dpo  evaluation: worst Republican loss 0.6512, accuracy 0.563; mean accuracy over groups
// 0.612". Empty where there was none.
std::string evaluation_line(const v1::TrainingJob& job);

// One line at the bottom of a terminal that is drawn again in place, perhaps with further ones below it. Each display
// of progress on a terminal is one.

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
  // From the next drawing on, until finish(). None is wider than the terminal less one column.
  void set_below(std::vector<std::string> lines) { below_ = std::move(lines); }
  void note(const std::string& text);  // a sentence that stays, above the line
  void finish();                       // gives the cursor back; nothing is drawn any more

 private:
  void erase();
  void draw();

  Console console_;
  LastLine last_;
  std::string prefix_;
  std::optional<ProgressView> view_;
  std::vector<std::string> below_;
  std::size_t drawn_below_ = 0;  // lines that are on the terminal
  std::optional<std::chrono::steady_clock::time_point> drawn_;
  bool finished_ = false;
};

}  // namespace equipoise
