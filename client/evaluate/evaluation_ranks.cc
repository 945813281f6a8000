#include "client/evaluate/evaluation_ranks.h"

#include <unistd.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "client/connection/watched_program.h"
#include "client/console/console.h"
#include "client/progress/read_progress.h"
#include "common/process/batch_system.h"

namespace equipoise {
namespace {

constexpr std::chrono::seconds kLongestPause{10};

ProgressView view_of(const EvaluationState& state, std::chrono::steady_clock::duration taken) {
  return {.label = "evaluate",
          .activity = state.activity,
          .step = state.percent,
          .total_steps = 100,
          .pairs_per_second = {},
          .time_left = time_left_of(static_cast<double>(state.percent) / 100, taken),
          .loss = {},
          .worst = {}};
}

}  // namespace

EvaluationDisplay::EvaluationDisplay(const Console& console) : out_(console.out) {
  if (console.kind == OutputKind::kTerminal) line_.emplace(console, LastLine::kErase);
}

void EvaluationDisplay::show(const EvaluationState& state, std::chrono::steady_clock::time_point now) {
  if (state.activity != activity_) {
    activity_ = state.activity;
    activity_begin_ = now;
  }
  if (line_) return line_->show(view_of(state, now - activity_begin_), now);
  if (!is_due(state, now)) return;
  shown_ = state;
  shown_at_ = now;
  out_ << "evaluate  " << state.activity;
  if (state.percent > 0) out_ << "  " << state.percent << " %";
  out_ << std::endl;
}

bool EvaluationDisplay::is_due(const EvaluationState& state, std::chrono::steady_clock::time_point now) const {
  if (!shown_ || state.activity != shown_->activity) return true;
  return state.percent != shown_->percent && now - shown_at_ >= kLongestPause;
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
                  ranks.pairs.string(), "--summary", (ranks.folder / "summary.json").string(), "--progress",
                  (ranks.folder / "progress.json").string()});
  std::vector<std::string> variables = ranks.settings;
  variables.emplace_back("PRTE_MCA_prte_default_hostfile=none");  // as Open MPI 5 calls it
  return {.command = std::move(command),
          .environment = std::move(variables),
          .removed = variables_hidden_from_mpirun(Allocation::kIgnored),
          .stdout_file = ranks.folder / "stdout.log",
          .stderr_file = ranks.folder / "stderr.log"};
}

}  // namespace

std::optional<EvaluationState> read_evaluation_state(const std::filesystem::path& file) {
  std::ifstream stream(file);
  const auto content = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!content.is_object()) return std::nullopt;
  return EvaluationState{.activity = content.value("activity", ""),
                         .percent = content.value("percent", std::int64_t{0})};
}

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
    if (const auto state = read_evaluation_state(ranks.folder / "progress.json")) display->show(*state, now);
  }
  if (display != nullptr) display->finish();
  if (interrupts > 0) throw CommandError(ExitCode::kInterrupted, "interrupted");
  check_end(mpirun.exit_code(), ranks.folder / "stderr.log", ranks.worker.filename().string(), "the ranks");
}

}  // namespace equipoise
