#include "client/progress/progress_display.h"

#include <algorithm>
#include <utility>

#include "client/progress/progress_line.h"

namespace equipoise {
namespace {

enum class Evaluations { kShown, kHidden };
enum class Groups { kWorstAlone, kAll };

constexpr std::size_t kMostGroupLines = 10;

class LiveDisplay final : public ProgressDisplay {
 public:
  LiveDisplay(const Console& console, LastLine last, Evaluations evaluations, std::string prefix = "",
              Groups groups = Groups::kWorstAlone)
      : console_(console), line_(console, last, std::move(prefix)), evaluations_(evaluations), groups_(groups) {}

  void show(const v1::TrainingJob& job, SteadyTime now) override {
    if (groups_ == Groups::kAll) {
      // A line stays free above the bar, so that drawing again does not scroll.
      const std::size_t room = console_.rows() > 2 ? console_.rows() - 2 : 0;
      line_.set_below(worst_group_lines(job, std::min(room, kMostGroupLines), console_.columns() - 1));
    }
    line_.show(progress_view(job), now);
    if (evaluations_ == Evaluations::kShown && seen_.is_new(job)) line_.note(evaluation_line(job));
  }
  void note(const std::string& text) override { line_.note(text); }
  void finish() override { line_.finish(); }

 private:
  Console console_;
  TerminalLine line_;
  const Evaluations evaluations_;
  const Groups groups_;
  EvaluationMemory seen_;
};

}  // namespace

std::unique_ptr<ProgressDisplay> make_live_display(const Console& console) {
  return std::make_unique<LiveDisplay>(console, LastLine::kKeep, Evaluations::kShown);
}

std::unique_ptr<ProgressDisplay> make_watching_display(const Console& console) {
  if (console.kind != OutputKind::kTerminal) return make_plain_display(console);
  return std::make_unique<LiveDisplay>(console, LastLine::kKeep, Evaluations::kShown, "", Groups::kAll);
}

std::unique_ptr<ProgressDisplay> make_display_among_many(const Console& console, std::string prefix) {
  if (console.kind != OutputKind::kTerminal) return make_silent_display();
  return std::make_unique<LiveDisplay>(console, LastLine::kErase, Evaluations::kHidden, std::move(prefix));
}

namespace {

constexpr int kPercentBetweenLines = 5;
constexpr std::chrono::seconds kLongestSilence{10};

class PlainDisplay final : public ProgressDisplay {
 public:
  explicit PlainDisplay(const Console& console) : out_(console.out) {}

  void show(const v1::TrainingJob& job, SteadyTime now) override {
    const ProgressView view = progress_view(job);
    if (is_due(view, now)) {
      write(view, now);
    }
    if (evaluations_.is_new(job)) out_ << evaluation_line(job) << std::endl;
  }

  void note(const std::string& text) override { out_ << text << std::endl; }
  void finish() override {}

 private:
  bool is_due(const ProgressView& view, SteadyTime now) const {
    if (!last_) return true;
    const bool moved = view.step != last_->view.step || view.total_steps != last_->view.total_steps;
    if (moved && view.total_steps > 0 && view.step == view.total_steps) return true;
    if (percent_done(view) / kPercentBetweenLines != percent_done(last_->view) / kPercentBetweenLines) return true;
    if (view.step > 0 && last_->view.step == 0) return true;
    // An evaluation between steps has a line of its own, with its results.
    if (view.activity != last_->view.activity && !view.activity.empty() && view.activity != "evaluating") return true;
    return moved && now - last_->time >= kLongestSilence;
  }

  void write(const ProgressView& view, SteadyTime now) {
    std::string line = plain_line(view);
    if (!last_ || line != last_->line) out_ << line << std::endl;
    last_ = Line{view, now, std::move(line)};
  }

  struct Line {
    ProgressView view;
    SteadyTime time;
    std::string line;
  };
  std::ostream& out_;
  std::optional<Line> last_;
  EvaluationMemory evaluations_;
};

class SilentDisplay final : public ProgressDisplay {
 public:
  void show(const v1::TrainingJob&, SteadyTime) override {}
  void note(const std::string&) override {}
  void finish() override {}
};

}  // namespace

bool EvaluationMemory::is_new(const v1::TrainingJob& job) {
  std::vector<double> results;
  for (const v1::GroupStatus& group : job.groups()) {
    if (group.has_validation_loss()) results.push_back(group.validation_loss());
  }
  const bool changed = !results.empty() && results != seen_;
  seen_ = std::move(results);
  return changed;
}

std::unique_ptr<ProgressDisplay> make_plain_display(const Console& console) {
  return std::make_unique<PlainDisplay>(console);
}

std::unique_ptr<ProgressDisplay> make_silent_display() { return std::make_unique<SilentDisplay>(); }

std::unique_ptr<ProgressDisplay> make_display(const Console& console) {
  return console.kind == OutputKind::kTerminal ? make_live_display(console) : make_plain_display(console);
}

}  // namespace equipoise
