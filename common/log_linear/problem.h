// The log-linear bandit of the paper's synthetic experiments: pi(a|s,g) proportional to exp <phi(s,a,g), theta>,
// reference policy uniform. Source: Ramesh et al. 2024 (arXiv:2405.20304), section 6.1 and appendix.
//
// D = 2 * state_dim features, with c_a = a/A + 1 and j in [0, state_dim):
//   same      phi[2j] = c_a cos(pi s_j)      phi[2j+1] = sin(pi s_j) / c_a       every group
//   swapped   odd groups the other way round: phi[2j+1] = c_a cos(pi s_j), phi[2j] = sin(pi s_j) / c_a
//   flipped   odd groups with sine and cosine exchanged: phi[2j] = c_a sin(pi s_j), phi[2j+1] = cos(pi s_j) / c_a
// Even groups are as `same` in all three. Reward of group g: <phi(s,a,g), r_g>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace equipoise::log_linear {

enum class FeatureMap { kSame, kSwapped, kFlipped };

// "same", "swapped" or "flipped". Throws std::invalid_argument naming the three.
FeatureMap parse_feature_map(std::string_view name);
std::string_view feature_map_name(FeatureMap map);

struct Problem {
  FeatureMap features = FeatureMap::kSame;
  std::uint32_t actions = 0;                   // A >= 2
  std::vector<std::vector<double>> reward_KD;  // a row per group; all of one even length D = 2 * state_dim >= 2
  std::vector<double> initial_theta_D;         // empty: zeros

  std::size_t groups() const { return reward_KD.size(); }
  std::size_t features_dim() const { return reward_KD.empty() ? 0 : reward_KD.front().size(); }
  std::size_t state_dim() const { return features_dim() / 2; }
};

// Throws std::invalid_argument naming the field ("policy.log_linear.reward[1]", ...), the value and what would be
// right.
void check_problem(const Problem& problem);

// phi(s, a, g) into phi_D. `problem` has passed check_problem; sizes and ids are the caller's to keep.
void write_features(const Problem& problem, std::span<const double> state, std::uint32_t action, std::uint32_t group,
                    std::span<double> phi_D);

// <phi(s,a,g), weight_D>: the reward with r_g, the log-odds of the policy with theta.
double score(const Problem& problem, std::span<const double> state, std::uint32_t action, std::uint32_t group,
             std::span<const double> weight_D);

}  // namespace equipoise::log_linear
