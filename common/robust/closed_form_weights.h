// What GroupWeights needs around the closed forms of ambiguity_sets.h: every group's share, a loss for every group, and
// weights as logarithms.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/robust/ambiguity_sets.h"
#include "common/robust/robust_settings.h"

namespace equipoise {

// p_g = N_g / sum of N, for N_g > 0.
std::vector<double> group_shares(std::span<const double> group_pair_count_K);

// Mean of the losses that are not NaN, weighted by their shares; none where all are.
std::optional<double> mean_of_known(std::span<const double> loss_K, std::span<const double> share_K);

// A group whose loss is NaN, as it has not been seen yet, takes the mean of the others' weighted by their shares.
// At least one is known.
std::vector<double> with_unknown_at_mean(std::span<const double> loss_K, std::span<const double> share_K);

// log w of settings.ambiguity_set, one of the closed forms; kLowestLogWeight where w is 0. Throws as they do.
std::vector<double> closed_form_log_weights(const RobustSettings& settings, const GroupRisk& risk);

}  // namespace equipoise
