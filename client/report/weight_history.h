// The history of alpha as a table for other programs.
#pragma once

#include <string>

#include "equipoise/v1/training.pb.h"

namespace equipoise {

// "step,generation,GROUP,..." and a line per step, as RFC 4180 has it. Numbers read back to the same bits.
std::string weight_history_csv(const v1::ListGroupWeightsResponse& history);

}  // namespace equipoise
