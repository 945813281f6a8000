// What sums over pairs say to people: means by TRL's names, and the same by group, with their standard errors. Format:
// common/metrics/metrics_schema.h.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "worker/language_model/batch_sums.h"
#include "worker/training/trained_policy.h"

namespace equipoise {

// What the lines of a job have: SFT compares no answers, so there are no rewards and no accuracies.
struct PairMetrics {
  bool has_rewards = true;
  bool has_nll = false;  // an SFT term beside another loss: nll_loss, group_nll_loss
};

// Of the groups that have pairs, in the order of their ids.
std::vector<GroupMeans> group_means(const PairMetrics& metrics, const BatchSums& sums);

// Of a step's batch. Errors are there where the sums have them; what the answers' tokens show where it was measured.
//   group_names  by the ids of the sums
MetricsFields step_fields(const PairMetrics& metrics, const BatchSums& sums, std::span<const std::string> group_names);

// Of all validation pairs, or of those of the file of this name.
ValidationMeans validation_means(const PairMetrics& metrics, const BatchSums& sums,
                                 std::span<const std::string> group_names, const std::string& file = "");

// What validation_means() has for pairs of these groups, with numbers that mean nothing.
//   count_K  [K] over group_names, > 0 for a group that has pairs
ValidationMeans expected_means(const PairMetrics& metrics, std::span<const double> count_K,
                               std::span<const std::string> group_names, const std::string& file = "");

}  // namespace equipoise
