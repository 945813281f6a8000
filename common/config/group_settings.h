// Settings that a job gives by a group's name, in the order of the training's groups. Coordinator and ranks both come
// here, so that they compute with the same numbers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/config/job_config.h"

namespace equipoise {

// config.settings with importance_weight_K and baseline_K; label_floor_K [K] is taken with robust.baseline
// label_entropy, and there is none with another. Throws std::invalid_argument naming the field and a group of the data
// that it lacks or a group that the data has not.
RobustSettings robust_settings_for(const RobustConfig& config, const std::vector<std::string>& group_names,
                                   std::span<const double> label_floor_K = {});

}  // namespace equipoise
