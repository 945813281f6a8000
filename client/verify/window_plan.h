// How steps of a run can be trained once more: from which checkpoint, on how many ranks, with which settings.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "client/verify/run_audit.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// Steps as metrics.jsonl counts them, from 1; both inclusive.
struct StepWindow {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

// "10-20", or "7" of one. Throws std::invalid_argument "--steps: ...".
StepWindow step_window(std::string_view text);

// Steps that one job trains once more: those of attempts on as many ranks, with the same settings but for what was
// changed while they ran.
struct WindowPart {
  std::int64_t from = 0;             // steps done where it begins
  std::int64_t last = 0;             // and where it ends
  std::filesystem::path checkpoint;  // of `from`; empty: from the start
  bool is_borrowed = false;          // the checkpoint is of another run, whose settings may have been others
  bool makes_checkpoint = false;     // of `last`, which the next part begins with
  bool runs_to_end = false;          // its job ends by itself
  int ranks = 0;
  int threads = 0;
  v1::CreateTrainingJobRequest request;  // into a folder of its own; on ranks that the coordinator launches
};

struct WindowPlan {
  StepWindow window;  // as it was asked for, and with all steps of the blocks that it begins and ends in
  std::vector<WindowPart> parts;
  bool is_to_end = false;   // the window ends with the run
  std::size_t changes = 0;  // of settings that are made once more
};

// Throws std::invalid_argument with the reason where these steps cannot be computed again: not on record, not trained
// on CPUs, no checkpoint and no start before them.
//   folder  for what is trained once more
WindowPlan plan_window(const RunAudit& audit, StepWindow window, const std::filesystem::path& folder);

// "steps 10 to 20".
std::string window_text(StepWindow window);

}  // namespace equipoise
