// One optimiser step as rank 0 reports it, checked, and the digest by which a repeated report is recognised.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/robust/group_weights.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

struct StepReport {
  GroupSums sums;                               // loss_sum is 0 where the group's loss was not finite
  std::vector<std::uint32_t> non_finite_group;  // ascending; empty: the step is applied, else it is skipped
};

// Throws std::invalid_argument naming the field, the group by its name, the value and what would be right.
StepReport check_step_report(const v1::ReportStepRequest& request, const std::vector<std::string>& group_names);

// SHA-256, 32 bytes, over the step and every number of the report, bit by bit.
std::string step_digest(const v1::ReportStepRequest& request);

}  // namespace equipoise::coordinator
