#include "client/evaluate/evaluation_ranks.h"

#include <unistd.h>

#include <csignal>
#include <vector>

#include "client/connection/watched_program.h"
#include "client/console/console.h"
#include "client/progress/read_progress.h"
#include "common/process/batch_system.h"

namespace equipoise {
namespace {

constexpr std::chrono::seconds kLongestPause{10};

ProgressView view_of(const Activity& activity, std::chrono::steady_clock::duration taken) {
  return {.label = "evaluate",
          .activity = activity.name,
          .step = activity.percent,
          .total_steps = 100,
          .pairs_per_second = {},
          .time_left = time_left_of(static_cast<double>(activity.percent) / 100, taken),
          .loss = {},
          .worst = {}};
}

}  // namespace

EvaluationDisplay::EvaluationDisplay(const Console& console) : out_(console.out) {
  if (console.kind == OutputKind::kTerminal) line_.emplace(console, LastLine::kErase);
}

void EvaluationDisplay::show(const Activity& activity, std::chrono::steady_clock::time_point now) {
  if (activity.name != name_) {
    name_ = activity.name;
    activity_begin_ = now;
  }
  if (line_) return line_->show(view_of(activity, now - activity_begin_), now);
  if (!is_due(activity, now)) return;
  shown_ = activity;
  shown_at_ = now;
  out_ << "evaluate  " << activity.name;
  if (activity.percent > 0) out_ << "  " << activity.percent << " %";
  out_ << std::endl;
}

bool EvaluationDisplay::is_due(const Activity& activity, std::chrono::steady_clock::time_point now) const {
  if (!shown_ || activity.name != shown_->name) return true;
  return activity.percent != shown_->percent && now - shown_at_ >= kLongestPause;
}

void EvaluationDisplay::note(const std::string& text) {
  if (line_) return line_->note(text);
  out_ << text << std::endl;
}

void EvaluationDisplay::finish() {
  if (line_) line_->finish();
}

namespace {

constexpr std::chrono::milliseconds kEvaluationPoll{200};
// mpirun itself waits a second or two for its ranks before it kills them.
constexpr std::chrono::seconds kPatienceAfterInterrupt{10};

ProgramStart mpirun_of(const EvaluationRanks& ranks) {
  std::vector<std::string> command = {"mpirun"};
  if (::geteuid() == 0) command.emplace_back("--allow-run-as-root");
  command.insert(command.end(), {"--bind-to", "none", "--oversubscribe", "-np", std::to_string(ranks.workers)});
  command.insert(command.end(), {"--mca", "orte_default_hostfile", "none"});  // this machine, whatever is installed
  command.insert(command.end(),
                 {ranks.worker.string(), "evaluate", "--request", (ranks.folder / "request.yaml").string(), "--pairs",
                  ranks.pairs.string(), "--summary", (ranks.folder / "summary.json").string(), "--activity",
                  (ranks.folder / "activity").string()});
  std::vector<std::string> variables = ranks.settings;
  variables.emplace_back("PRTE_MCA_prte_default_hostfile=none");  // as Open MPI 5 calls it
  return {.command = std::move(command),
          .environment = std::move(variables),
          .removed = variables_hidden_from_mpirun(Allocation::kIgnored),
          .stdout_file = ranks.folder / "stdout.log",
          .stderr_file = ranks.folder / "stderr.log"};
}

}  // namespace

void run_evaluation_ranks(const EvaluationRanks& ranks, JobInbox& inbox, EvaluationDisplay* display) {
  WatchedProgram mpirun(mpirun_of(ranks), inbox);
  int interrupts = 0;
  std::chrono::steady_clock::time_point interrupted_at;
  for (bool ended = false; !ended;) {
    const JobInbox::Update update = inbox.wait(kEvaluationPoll);
    const auto now = std::chrono::steady_clock::now();
    ended = update.ended;
    if (update.interrupts > interrupts) {
      mpirun.signal(interrupts == 0 ? SIGTERM : SIGKILL);
      if (interrupts == 0) interrupted_at = now;
      if (interrupts == 0 && display != nullptr) display->note("stopping; press Ctrl-C again to end at once");
      interrupts = update.interrupts;
    } else if (interrupts > 0 && now - interrupted_at > kPatienceAfterInterrupt) {
      mpirun.signal(SIGKILL);
    }
    if (display == nullptr) continue;
    if (const auto activity = read_activity(ranks.folder / "activity")) display->show(*activity, now);
  }
  if (display != nullptr) display->finish();
  if (interrupts > 0) throw CommandError(ExitCode::kInterrupted, "interrupted");
  check_end(mpirun.exit_code(), ranks.folder / "stderr.log", ranks.worker.filename().string(), "the ranks");
}

}  // namespace equipoise
