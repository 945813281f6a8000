// How often the batches of a plan lack a group: with robust.estimator batch_mean such a group loses weight for being
// rare.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/config/job_config.h"
#include "common/dataset/preference_pair.h"
#include "common/dataset/strata.h"

namespace equipoise {

// Probability that none of `members` of `pairs` equally likely pairs is in `places` places filled without replacement:
// hypergeometric for places >= 1, whole or not; 1 - places * members / pairs for fewer, where a place is a chance.
double absence_probability(double pairs, double members, double places);

// The same of each group in a batch of B pairs: [K].
//   memberships_N  [N]  of the training data, groups in [0, num_groups)
//   strata         whose shares of a batch are kept, groups or files; absent: any pair may be anywhere
std::vector<double> absence_K(std::span<const std::span<const Membership>> memberships_N,
                              const std::optional<Strata>& strata, std::int64_t batch_size, std::size_t num_groups);

// Whether it matters to alpha.
bool suffers_from_absence(const RobustSettings& robust, const TrainingConfig& training);

// What to say of the groups that more than 1 % of batches lack, the most absent first and at most ten by name; empty if
// there is none.
std::string absence_line(std::span<const std::string> group_names, std::span<const double> absence_K);

}  // namespace equipoise
