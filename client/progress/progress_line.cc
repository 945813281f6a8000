#include "client/progress/progress_line.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "client/table/display_width.h"
#include "client/table/number_format.h"
#include "common/base/message_text.h"
#include "common/robust/worst_group.h"

namespace equipoise {
namespace {

constexpr std::size_t kShortestBar = 8;
constexpr std::size_t kLongestBar = 30;
constexpr std::size_t kLongestName = 24;
constexpr const char* kLineGap = "  ";

// The phase comes with a heartbeat and may be two seconds old: once steps are done it is not "reading data" any more.
std::string running_activity(const v1::TrainingJob& job) {
  if (job.phase() == "training") return "";
  return job.step() == 0 || job.phase() == "evaluating" || job.phase() == "saving" ? job.phase() : "";
}

std::string state_activity(const v1::TrainingJob& job) {
  switch (job.state()) {
    case v1::JOB_STATE_QUEUED:
      return job.state_reason().empty() ? "waiting" : printable(job.state_reason());  // for what
    case v1::JOB_STATE_STARTING:
      return job.phase().empty() ? "starting" : job.phase();
    case v1::JOB_STATE_RECOVERING:
      return "recovering";
    case v1::JOB_STATE_PAUSING:
      return "pausing";
    case v1::JOB_STATE_PAUSED:
      return "paused";
    case v1::JOB_STATE_CANCELLING:
      return "cancelling";
    case v1::JOB_STATE_RUNNING:
      return running_activity(job);
    default:
      return "";
  }
}

// An eighth of a cell is the finest step of a Unicode bar.
std::string bar(double share, std::size_t cells, Glyphs glyphs) {
  static constexpr std::array<const char*, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<std::size_t>(std::floor(share * static_cast<double>(cells) * 8.0));
  const std::size_t full = std::min(eighths / 8, cells);
  const bool unicode = glyphs == Glyphs::kUnicode;
  std::string text = unicode ? "" : "[";
  for (std::size_t i = 0; i < full; ++i) text += unicode ? "█" : "#";
  std::size_t drawn = full;
  if (unicode && full < cells && eighths % 8 > 0) {
    text += kEighths[eighths % 8];
    ++drawn;
  }
  for (std::size_t i = drawn; i < cells; ++i) text += unicode ? "─" : "-";
  return unicode ? text : text + "]";
}

std::string worst_text(const WorstGroup& worst, std::size_t name_columns, bool with_weight) {
  const std::string text = std::string(worst.is_of_validation ? "worst in validation " : "worst in batch ") +
                           shorten(worst.name, name_columns) + " " + loss_text(worst.loss);
  return with_weight ? text + " (weight " + share_text(worst.weight) + ")" : text;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string line;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!line.empty()) line += kLineGap;
    line += part;
  }
  return line;
}

// How much of the line is left out, from nothing to nearly all.
struct Detail {
  bool label;
  bool speed;
  bool loss;
  bool bar;
  bool weight;
};
constexpr std::array<Detail, 6> kDetails = {{{true, true, true, true, true},
                                             {false, true, true, true, true},
                                             {false, false, true, true, true},
                                             {false, false, false, true, true},
                                             {false, false, false, false, true},
                                             {false, false, false, false, false}}};

std::string steps_done(const ProgressView& view) {
  return std::to_string(view.step) + "/" + std::to_string(view.total_steps);
}

std::string line_with(const ProgressView& view, const Detail& detail, const std::string& drawn_bar,
                      const std::string& steps) {
  return joined({
      detail.label ? shorten(view.label, kLongestName) : "",
      drawn_bar,
      steps,
      steps.empty() ? "" : std::to_string(percent_done(view)) + " %",
      printable(view.activity),
      detail.speed ? restarts_text(view.restarts) : "",
      detail.speed && view.pairs_per_second ? speed_text(*view.pairs_per_second) + " pairs/s" : "",
      view.time_left ? duration_text(*view.time_left) + " left" : "",
      detail.loss && view.loss ? "batch loss " + loss_text(view.loss) : "",
      view.worst ? worst_text(*view.worst, kLongestName, detail.weight) : "",
  });
}

double share_done(const ProgressView& view) {
  if (view.total_steps <= 0) return 0;
  return std::clamp(static_cast<double>(view.step) / static_cast<double>(view.total_steps), 0.0, 1.0);
}

template <typename Value>
const v1::GroupStatus* worst_by(const v1::TrainingJob& job, Value value) {
  const auto worst = worst_group(job.groups(), value);
  return worst == job.groups().end() ? nullptr : &*worst;
}

std::optional<double> train_loss(const v1::GroupStatus& group) {
  return group.has_train_loss() ? std::optional(group.train_loss()) : std::nullopt;
}

std::optional<double> validation_loss(const v1::GroupStatus& group) {
  return group.has_validation_loss() ? std::optional(group.validation_loss()) : std::nullopt;
}

// Whether the newest evaluation is that before the first step, and there are losses of batches since.
bool is_evaluated_before_training_alone(const v1::TrainingJob& job) {
  return job.validation_step() == 0 && job.step() > 0 && worst_by(job, train_loss) != nullptr;
}

}  // namespace

std::optional<WorstGroup> worst_group(const v1::TrainingJob& job, LossOf first) {
  if (job.groups_size() < 2) return std::nullopt;
  const v1::GroupStatus* const of_batch = worst_by(job, train_loss);
  const v1::GroupStatus* const of_validation = worst_by(job, validation_loss);
  const bool is_batch_first =
      first == LossOf::kBatch || (first == LossOf::kNewest && is_evaluated_before_training_alone(job));
  const bool is_batch = of_batch != nullptr && (is_batch_first || of_validation == nullptr);
  if (is_batch) return WorstGroup{of_batch->name(), of_batch->train_loss(), of_batch->weight()};
  if (of_validation == nullptr) return std::nullopt;
  return WorstGroup{of_validation->name(), of_validation->validation_loss(), of_validation->weight(), true};
}

std::string restarts_text(int restarts) {
  if (restarts <= 0) return "";
  return restarts == 1 ? "restarted once" : "restarted " + std::to_string(restarts) + " times";
}

ProgressView progress_view(const v1::TrainingJob& job) {
  ProgressView view{.label = job.spec().name(),
                    .activity = state_activity(job),
                    .step = job.step(),
                    .total_steps = job.total_steps(),
                    .pairs_per_second = {},
                    .time_left = {},
                    .loss = {},
                    .worst = worst_group(job),
                    .restarts = job.restarts()};
  if (job.has_pairs_per_second()) view.pairs_per_second = job.pairs_per_second();
  if (job.has_loss()) view.loss = job.loss();
  const bool stepping = job.step() > 0 && job.step() < job.total_steps();
  if (job.has_time_left() && stepping) view.time_left = std::chrono::seconds(job.time_left().seconds());
  return view;
}

int percent_done(const ProgressView& view) { return static_cast<int>(share_done(view) * 100.0); }

std::string bar_line(const ProgressView& view, std::size_t columns, Glyphs glyphs) {
  const std::string steps = view.total_steps > 0 ? steps_done(view) : "";
  const std::size_t frame = glyphs == Glyphs::kUnicode ? 0 : 2;
  for (const Detail& detail : kDetails) {
    const std::string bare = line_with(view, detail, "", steps);
    if (!detail.bar || view.total_steps <= 0) {
      if (display_width(bare) <= columns) return bare;
      continue;
    }
    const std::size_t taken = display_width(bare) + display_width(kLineGap) + frame;
    if (taken + kShortestBar > columns) continue;
    const std::size_t cells = std::min(kLongestBar, columns - taken);
    return line_with(view, detail, bar(share_done(view), cells, glyphs), steps);
  }
  return shorten(line_with(view, kDetails.back(), "", steps), columns);
}

std::string plain_line(const ProgressView& view) {
  const bool begun = view.total_steps > 0 && (view.step > 0 || view.activity.empty());
  return line_with(view, kDetails.front(), "", begun ? "step " + steps_done(view) : "");
}

namespace {

struct GroupLine {
  std::string name;
  double loss;
  std::optional<double> accuracy;
  double weight;
};

// Whether there was an evaluation since training began.
bool is_by_validation(const v1::TrainingJob& job) {
  return worst_by(job, validation_loss) != nullptr && !is_evaluated_before_training_alone(job);
}

std::vector<GroupLine> worst_first(const v1::TrainingJob& job) {
  const bool is_evaluated = is_by_validation(job);
  std::vector<GroupLine> lines;
  for (const v1::GroupStatus& group : job.groups()) {
    const auto loss = is_evaluated ? validation_loss(group) : train_loss(group);
    if (!loss) continue;
    std::optional<double> accuracy;
    if (is_evaluated && group.has_validation_reward_accuracy()) accuracy = group.validation_reward_accuracy();
    if (!is_evaluated && group.has_train_reward_accuracy()) accuracy = group.train_reward_accuracy();
    lines.push_back({.name = group.name(), .loss = *loss, .accuracy = accuracy, .weight = group.weight()});
  }
  std::ranges::stable_sort(lines, [](const GroupLine& a, const GroupLine& b) { return worse_loss(a.loss, b.loss); });
  return lines;
}

}  // namespace

std::vector<std::string> worst_group_lines(const v1::TrainingJob& job, std::size_t lines, std::size_t columns) {
  const std::vector<GroupLine> groups = worst_first(job);
  if (groups.size() < 2 || lines == 0) return {};
  const bool is_whole = groups.size() <= lines;
  const std::size_t shown = is_whole ? groups.size() : lines - 1;
  std::size_t width = 0;
  for (std::size_t i = 0; i < shown; ++i) width = std::max(width, display_width(shorten(groups[i].name, kLongestName)));
  const std::string loss_name = is_by_validation(job) ? "  validation loss " : "  batch loss ";
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < shown; ++i) {
    const GroupLine& group = groups[i];
    const std::string name = shorten(group.name, kLongestName);
    std::string text =
        kLineGap + name + std::string(width - display_width(name), ' ') + loss_name + loss_text(group.loss);
    if (group.accuracy) text += "  accuracy " + share_text(group.accuracy);
    texts.push_back(shorten(text + "  weight " + share_text(group.weight), columns));
  }
  if (!is_whole) {
    texts.push_back(shorten(
        kLineGap + counted(static_cast<std::int64_t>(groups.size() - shown), "group") + " more, better off", columns));
  }
  return texts;
}

std::string evaluation_line(const v1::TrainingJob& job) {
  const v1::GroupStatus* worst = worst_by(job, validation_loss);
  if (worst == nullptr) return "";
  double accuracy_sum = 0;
  int with_accuracy = 0;
  for (const v1::GroupStatus& group : job.groups()) {
    if (!group.has_validation_reward_accuracy()) continue;
    accuracy_sum += group.validation_reward_accuracy();
    ++with_accuracy;
  }
  std::string line =
      shorten(job.spec().name(), kLongestName) + kLineGap + "evaluation" +
      (job.validation_step() == 0 ? " before the first step" : " after step " + std::to_string(job.validation_step())) +
      ": worst " + shorten(worst->name(), kLongestName) + " loss " + loss_text(worst->validation_loss());
  if (worst->has_validation_reward_accuracy()) line += ", accuracy " + share_text(worst->validation_reward_accuracy());
  if (with_accuracy > 0) line += "; mean accuracy over groups " + share_text(accuracy_sum / with_accuracy);
  return line;
}

namespace {

constexpr std::chrono::milliseconds kBetweenDrawings{100};
constexpr const char* kHideCursor = "\x1b[?25l";
constexpr const char* kShowCursor = "\x1b[?25h";
constexpr const char* kClearLine = "\r\x1b[2K";
constexpr const char* kClearBelow = "\x1b[J";

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

// The cursor is in the last line that was drawn.
void TerminalLine::erase() {
  if (drawn_below_ > 0) console_.out << "\r\x1b[" << drawn_below_ << "A" << kClearBelow;
  drawn_below_ = 0;
  console_.out << kClearLine;
}

void TerminalLine::note(const std::string& text) {
  erase();
  // The last column stays free, as below.
  console_.out << wrapped(text, console_.columns() - 1) << "\n";
  draw();
}

void TerminalLine::finish() {
  if (finished_) return;
  finished_ = true;
  below_.clear();
  if (last_ == LastLine::kKeep) {
    draw();
    console_.out << (view_ ? "\n" : "");
  } else {
    erase();
  }
  console_.out << kShowCursor << std::flush;
}

void TerminalLine::draw() {
  // The last column stays free: some terminals wrap as soon as it is written.
  const std::size_t columns = console_.columns() - 1, used = display_width(prefix_);
  if (!view_ || used >= columns) return;
  erase();
  console_.out << prefix_ << bar_line(*view_, columns - used, console_.glyphs);
  for (const std::string& line : below_) console_.out << "\n" << line;
  drawn_below_ = below_.size();
  console_.out << std::flush;
}

}  // namespace equipoise
