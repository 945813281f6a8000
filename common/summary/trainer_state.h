// trainer_state.json of a run: what transformers' Trainer and TRL's trainers keep of theirs, under the same names.
#pragma once

#include <string>

#include "common/summary/run_summary.h"

namespace equipoise {

inline constexpr const char* kTrainerStateName = "trainer_state.json";  // in the output

// JSON that transformers' TrainerState.load_from_json() reads. log_history has the numbers at the top of the lines of
// metrics.jsonl but for the two speeds, which no two runs have alike; a number that is not finite is null.
std::string trainer_state(const RunSummary& summary);

}  // namespace equipoise
