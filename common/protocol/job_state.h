// What the states of a job mean and how people write them, alike for the coordinator and the command line.
#pragma once

#include <string>

#include "equipoise/v1/training.pb.h"

namespace equipoise {

// SUCCEEDED, FAILED or CANCELLED: a job in this state never changes again.
bool is_final(v1::JobState state);

// QUEUED, not JOB_STATE_QUEUED; the number of a state that only a newer program knows.
std::string state_name(v1::JobState state);

}  // namespace equipoise
