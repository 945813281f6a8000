#include "client/data/preference_generator.h"

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/log_linear/random_stream.h"

namespace equipoise::log_linear {
namespace {

std::vector<std::uint32_t> shuffled_groups(const Problem& problem, const GeneratorSettings& settings,
                                           SplitMix64& random) {
  if (settings.group_sizes_K.size() != problem.groups()) {
    throw std::invalid_argument("group_sizes has " + std::to_string(settings.group_sizes_K.size()) +
                                " numbers, expected one for each of the " + std::to_string(problem.groups()) +
                                " groups");
  }
  constexpr std::uint64_t kMostPairs = std::uint64_t{1} << 31;
  std::vector<std::uint32_t> groups;
  for (std::size_t g = 0; g < problem.groups(); ++g) {
    if (settings.group_sizes_K[g] > kMostPairs - groups.size()) {
      throw std::invalid_argument("group_sizes sums to more than 2^31 pairs");
    }
    groups.insert(groups.end(), settings.group_sizes_K[g], static_cast<std::uint32_t>(g));
  }
  if (groups.empty()) throw std::invalid_argument("group_sizes sums to 0, expected at least one pair");
  for (std::size_t i = groups.size(); i > 1; --i) std::swap(groups[i - 1], groups[random.below(i)]);
  return groups;
}

struct ActionPair {
  std::uint32_t first;
  std::uint32_t second;
};

std::uint32_t neighbour(std::uint32_t action, std::uint32_t actions, SplitMix64& random) {
  const bool up = random.below(2) == 1;
  if (action == 0) return 1;
  if (action == actions - 1) return actions - 2;
  return up ? action + 1 : action - 1;
}

ActionPair draw_actions(std::uint32_t actions, std::uint32_t group, Responses responses, SplitMix64& random) {
  const auto first = static_cast<std::uint32_t>(random.below(actions));
  if (responses == Responses::kUneven) {
    return {first, group % 2 == 0 ? neighbour(first, actions, random) : (first + actions / 2) % actions};
  }
  const auto other = static_cast<std::uint32_t>(random.below(actions - 1));
  return {first, other < first ? other : other + 1};
}

bool first_preferred(double first_reward, double second_reward, Preferring preferring, SplitMix64& random) {
  if (preferring == Preferring::kDeterministic) return first_reward > second_reward;
  return random.uniform() < 1 / (1 + std::exp(second_reward - first_reward));
}

}  // namespace

std::vector<Preference> generate_preferences(const Problem& problem, const GeneratorSettings& settings) {
  check_problem(problem);
  SplitMix64 random = random_stream(settings.seed, Stream::kPairs);
  std::vector<Preference> preferences;
  for (const std::uint32_t group : shuffled_groups(problem, settings, random)) {
    Preference pair;
    pair.group = group;
    for (std::size_t j = 0; j < problem.state_dim(); ++j) pair.state.push_back(random.uniform());
    const ActionPair actions = draw_actions(problem.actions, group, settings.responses, random);
    const double first = score(problem, pair.state, actions.first, group, problem.reward_KD[group]);
    const double second = score(problem, pair.state, actions.second, group, problem.reward_KD[group]);
    const bool first_wins = first_preferred(first, second, settings.preferring, random);
    pair.chosen = first_wins ? actions.first : actions.second;
    pair.rejected = first_wins ? actions.second : actions.first;
    preferences.push_back(std::move(pair));
  }
  return preferences;
}

std::vector<double> draw_theta(std::size_t dim, double upper, std::uint64_t seed) {
  SplitMix64 random = random_stream(seed, Stream::kTheta);
  std::vector<double> theta_D(dim);
  for (double& value : theta_D) value = upper * random.uniform();
  return theta_D;
}

}  // namespace equipoise::log_linear
