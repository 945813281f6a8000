// How many steps a ReportStepsRequest may have (worker.proto): ranks keep to it, the coordinator refuses more. Of each
// step numbers of all K groups are computed, kept and stored, so what is bounded is steps times K.
#pragma once

#include <algorithm>
#include <cstddef>

namespace equipoise {

inline constexpr std::size_t kMostReportedSteps = 65536;
inline constexpr std::size_t kMostReportedWeights = std::size_t{1} << 20;  // steps times K: 16 MB of records

// num_groups  K >= 1. At least 1.
constexpr std::size_t most_reported_steps(std::size_t num_groups) {
  return std::clamp<std::size_t>(kMostReportedWeights / num_groups, 1, kMostReportedSteps);
}

}  // namespace equipoise
