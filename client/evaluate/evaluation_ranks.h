// The processes of an evaluation: mpirun and its ranks, started, watched, and ended on Ctrl-C.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "client/connection/job_inbox.h"
#include "client/console/console.h"
#include "client/progress/progress_line.h"

namespace equipoise {

// Shows how far an evaluation is: one line drawn again in place on a terminal, a line now and then elsewhere.
struct EvaluationState {
  std::string activity;      // "policy log-probs"
  std::int64_t percent = 0;  // of the activity
};

// What a worker has written of itself; nothing where it has not yet.
std::optional<EvaluationState> read_evaluation_state(const std::filesystem::path& file);

// Not thread-safe.
class EvaluationDisplay {
 public:
  explicit EvaluationDisplay(const Console& console);

  void show(const EvaluationState& state, std::chrono::steady_clock::time_point now);
  void note(const std::string& text);  // a sentence that stays
  void finish();                       // leaves the terminal as it was; the destructor does so too

 private:
  bool is_due(const EvaluationState& state, std::chrono::steady_clock::time_point now) const;

  std::ostream& out_;
  std::optional<TerminalLine> line_;  // on a terminal; the rest is for elsewhere
  std::string activity_;
  std::chrono::steady_clock::time_point activity_begin_;
  std::optional<EvaluationState> shown_;  // where this is no terminal
  std::chrono::steady_clock::time_point shown_at_;
};

struct EvaluationRanks {
  std::filesystem::path worker;  // equipoise-worker
  int workers = 1;
  std::filesystem::path folder;       // private; holds request.yaml, receives summary.json, progress.json and the logs
  std::vector<std::string> settings;  // NAME=value, for mpirun's environment
  std::filesystem::path pairs;        // exists; receives a line per pair
};

// Runs them to their end. Ctrl-C arrives through `inbox`; `display` may be null.
// Throws std::invalid_argument with what a rank said of bad input, PeerError with what it said of anything else,
// CommandError (interrupted) after Ctrl-C: then all of them have ended.
void run_evaluation_ranks(const EvaluationRanks& ranks, JobInbox& inbox, EvaluationDisplay* display);

}  // namespace equipoise
