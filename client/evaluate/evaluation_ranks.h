// The processes of an evaluation: mpirun and its ranks, started, watched, and ended on Ctrl-C.
#pragma once

#include <filesystem>
#include <string>

#include "client/connection/job_inbox.h"
#include "client/evaluate/evaluation_display.h"

namespace equipoise {

struct EvaluationRanks {
  std::filesystem::path worker;  // equipoise-worker
  int workers = 1;
  std::filesystem::path folder;  // private; holds request.yaml, receives summary.json, progress.json and the logs
  std::string setting;           // NAME=value for mpirun's environment
  std::filesystem::path pairs;   // exists; receives a line per pair
};

// Runs them to their end. Ctrl-C arrives through `inbox`; `display` may be null.
// Throws std::invalid_argument with what a rank said of bad input, PeerError with what it said of anything else,
// CommandError (interrupted) after Ctrl-C: then all of them have ended.
void run_evaluation_ranks(const EvaluationRanks& ranks, JobInbox& inbox, EvaluationDisplay* display);

}  // namespace equipoise
