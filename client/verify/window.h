// Steps of a run, trained once more on this machine and compared with its ledger bit by bit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "client/progress/progress_display.h"
#include "client/verify/run_audit.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// Steps as metrics.jsonl counts them, from 1; both inclusive.
struct StepWindow {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

// "10-20", or "7" of one. Throws std::invalid_argument "--steps: ...".
StepWindow step_window(std::string_view text);

// How the steps are trained once more.
struct WindowPlan {
  StepWindow window;
  std::int64_t from = 0;             // steps done where it begins
  std::filesystem::path checkpoint;  // of them; empty: from the start
  bool is_to_end = false;            // the window ends with the run
  int ranks = 0;
  int threads = 0;
  v1::JobSpec spec;  // into a folder of its own; on ranks that the coordinator launches
};

// Throws std::invalid_argument with the reason where these steps cannot be computed again: not on record, not trained
// on CPUs, no checkpoint and no start before them, settings that changed, ranks or threads that changed in between.
//   output  of the steps that are trained once more
WindowPlan plan_window(const RunAudit& audit, StepWindow window, const std::filesystem::path& output);

// Trains them, on a coordinator of our own. Throws as PrivateService::run().
void train_window(const WindowPlan& plan, ProgressDisplay& display);

// Compares the ledgers of the two outputs.
AuditLine compare_window(const RunAudit& audit, const std::filesystem::path& run, const WindowPlan& plan);

}  // namespace equipoise
