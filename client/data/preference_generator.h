// Draws preferences as the paper's synthetic experiments do, with our own random numbers: the same settings give the
// same pairs, bit for bit, on every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "common/log_linear/preference.h"
#include "common/log_linear/problem.h"

namespace equipoise::log_linear {

// Which two actions are compared.
//   kEven    two different actions uniformly at random
//   kUneven  the first uniform; even groups take a neighbour (+1 or -1 with equal chance, reflected at the ends),
//            odd groups the action A/2 further, modulo A
enum class Responses { kEven, kUneven };

// Which of the two is preferred.
//   kDeterministic  the one of larger reward; ties go to the second
//   kBradleyTerry   the first with probability sigmoid(r_first - r_second)
enum class Preferring { kDeterministic, kBradleyTerry };

struct GeneratorSettings {
  Responses responses = Responses::kEven;
  Preferring preferring = Preferring::kDeterministic;
  std::vector<std::uint64_t> group_sizes_K;  // pairs of each group
  std::uint64_t seed = 0;
};

// States uniform in [0, 1)^state_dim; the groups' pairs in random order.
// Throws std::invalid_argument if group_sizes_K is not of length K or sums to 0 or to more than 2^31.
std::vector<Preference> generate_preferences(const Problem& problem, const GeneratorSettings& settings);

// The seeds of the three sets of one experiment: unrelated draws, all from `seed` <= kLargestSplitSeed.
enum class Split : std::uint64_t { kTrain, kValidation, kTest };
inline constexpr std::uint64_t kLargestSplitSeed = ~std::uint64_t{0} / 4;
inline std::uint64_t split_seed(std::uint64_t seed, Split split) {
  return 3 * seed + static_cast<std::uint64_t>(split);
}

// Each coordinate uniform in [0, upper).
std::vector<double> draw_theta(std::size_t dim, double upper, std::uint64_t seed);

}  // namespace equipoise::log_linear
