// The phases of a training step whose seconds are reported: a rank measures these, Prometheus sees these.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace equipoise {

inline constexpr std::array<std::string_view, 5> kStepPhases = {"forward", "group_sums", "weight_update", "backward",
                                                                "optimizer"};

// The label of a phase: its name, "other" for one that is none of these. A time series lives as long as its job, so
// that names from outside must not make new ones.
constexpr std::string_view step_phase_label(std::string_view name) {
  return std::ranges::find(kStepPhases, name) == kStepPhases.end() ? std::string_view("other") : name;
}

}  // namespace equipoise
