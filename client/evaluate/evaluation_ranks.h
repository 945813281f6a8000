// The processes of an evaluation: mpirun and its ranks, started, watched, and ended on Ctrl-C.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "client/connection/job_inbox.h"
#include "client/console/console.h"
#include "client/progress/progress_line.h"
#include "common/base/activity_file.h"

namespace equipoise {

// Shows how far an evaluation is: one line drawn again in place on a terminal, a line now and then elsewhere.
// Not thread-safe.
class EvaluationDisplay {
 public:
  explicit EvaluationDisplay(const Console& console);

  void show(const Activity& activity, std::chrono::steady_clock::time_point now);
  void note(const std::string& text);  // a sentence that stays
  void finish();                       // leaves the terminal as it was; the destructor does so too

 private:
  bool is_due(const Activity& activity, std::chrono::steady_clock::time_point now) const;

  std::ostream& out_;
  std::optional<TerminalLine> line_;  // on a terminal; the rest is for elsewhere
  std::string name_;                  // of the activity
  std::chrono::steady_clock::time_point activity_begin_;
  std::optional<Activity> shown_;  // where this is no terminal
  std::chrono::steady_clock::time_point shown_at_;
};

struct EvaluationRanks {
  std::filesystem::path worker;  // equipoise-worker
  int workers = 1;
  std::filesystem::path folder;       // private; holds request.yaml, receives summary.json, activity and the logs
  std::vector<std::string> settings;  // NAME=value, for mpirun's environment
  std::filesystem::path pairs;        // exists; receives a line per pair
};

// Runs them to their end. Ctrl-C arrives through `inbox`; `display` may be null.
// Throws std::invalid_argument with what a rank said of bad input, PeerError with what it said of anything else,
// CommandError (interrupted) after Ctrl-C: then all of them have ended.
void run_evaluation_ranks(const EvaluationRanks& ranks, JobInbox& inbox, EvaluationDisplay* display);

}  // namespace equipoise
