// Settings that a job gives by a group's name, in the order of the training's groups. Coordinator and ranks both come
// here, so that they compute with the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/config/job_config.h"

namespace equipoise {

// Sizes of the data at hand: N_g as counted, N its pairs.
struct CountedPairs {
  std::span<const double> counted_K;
  double num_pairs = 0;
};

// config.settings with importance_weight_K, baseline_K and counted_K; label_floor_K [K] is taken with robust.baseline
// label_entropy, and there is none with another. Throws std::invalid_argument naming the field and a group of the data
// that it lacks or a group that the data has not.
RobustSettings robust_settings_for(const RobustConfig& config, const std::vector<std::string>& group_names,
                                   std::span<const double> label_floor_K = {}, CountedPairs counted = {});

// N_g of each group: data.group_counts where the job gives them, else counted_K, [K]. Throws std::invalid_argument
// naming a group of the data that they lack or a group that the data has not.
std::vector<double> group_counts_for(const DataConfig& data, const std::vector<std::string>& group_names,
                                     std::span<const double> counted_K);

// N that goes with N_g in N / N_g: num_pairs of the data for the N_g that are counted in it. data.group_counts are
// sizes in a population of which the data is a sample, of N sum_g given_K / sum_g counted_K pairs if pairs there are in
// as many groups as here. Then (N / N_g) S_g / |B| is unbiased for the population's loss.
//   given_K, counted_K  [K]  > 0; equal where there are no counts of a population, and then the result is num_pairs
double population_size(std::span<const double> given_K, std::span<const double> counted_K, double num_pairs);

// Throws std::invalid_argument if the mode weighs groups against each other and the training data has but one: it would
// train the mean loss in silence. `hint` is what the user could do, for the end of the message.
void check_several_groups(RobustMode mode, const std::vector<std::string>& group_names, const std::string& hint);

// The same where there are several groups and all have the same pairs: `differ` says whether some pair is in one group
// and not in another, or not to the same degree.
void check_groups_differ(RobustMode mode, const std::vector<std::string>& group_names, bool differ);

// What training.sampling automatic becomes for data of so many pairs and groups: stratified where a batch has a place
// for each group and is smaller than the data, else permutation. Another sampling is itself.
Sampling sampling_for(const TrainingConfig& training, std::size_t num_groups, std::int64_t num_pairs);

}  // namespace equipoise
