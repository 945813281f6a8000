#include "common/robust/ambiguity_sets.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

// log(sum exp(log_weight - shift)) where shift is the largest: between 0 and log K.
double log_sum_above(std::span<const double> log_weight_K, double shift) {
  constexpr double kNegligible = -700;  // exp of less is near or below the slow subnormal numbers
  double sum = 0;
  for (const double log_weight : log_weight_K) {
    const double below = log_weight - shift;
    if (below > kNegligible) sum += std::exp(below);
  }
  return std::log(sum);
}

double largest(std::span<const double> log_weight_K) {
  return *std::max_element(log_weight_K.begin(), log_weight_K.end());
}

}  // namespace

double log_sum_exp(std::span<const double> log_weight_K) {
  const double shift = largest(log_weight_K);
  return shift + log_sum_above(log_weight_K, shift);
}

void normalize_log_simplex(std::span<double> log_weight_K) {
  const double shift = largest(log_weight_K);
  const double log_sum = log_sum_above(log_weight_K, shift);
  // Two subtractions: log_sum would be rounded away next to a huge shift.
  for (double& log_weight : log_weight_K) log_weight = std::max(log_weight - shift - log_sum, kLowestLogWeight);
}

std::vector<double> group_shares(std::span<const double> group_pair_count_K) {
  const double total = std::accumulate(group_pair_count_K.begin(), group_pair_count_K.end(), 0.0);
  std::vector<double> share_K(group_pair_count_K.begin(), group_pair_count_K.end());
  for (double& share : share_K) share /= total;
  return share_K;
}

std::optional<double> mean_of_known(std::span<const double> loss_K, std::span<const double> share_K) {
  double mean = 0, known_share = 0;
  for (std::size_t g = 0; g < loss_K.size(); ++g) {
    if (std::isnan(loss_K[g])) continue;
    known_share += share_K[g];
    mean += (loss_K[g] - mean) * (share_K[g] / known_share);
  }
  return known_share > 0 ? std::optional(mean) : std::nullopt;
}

std::vector<double> with_unknown_at_mean(std::span<const double> loss_K, std::span<const double> share_K) {
  const double mean = mean_of_known(loss_K, share_K).value_or(0);
  std::vector<double> filled_K(loss_K.begin(), loss_K.end());
  for (double& loss : filled_K) {
    if (std::isnan(loss)) loss = mean;
  }
  return filled_K;
}

std::vector<double> closed_form_log_weights(const RobustSettings& settings, const GroupRisk& risk) {
  std::vector<double> weight_K = closed_form_weights(settings, risk);
  for (double& weight : weight_K) weight = std::max(std::log(weight), kLowestLogWeight);  // log 0 is -infinity
  return weight_K;
}

namespace {

void check_risk(const GroupRisk& risk) {
  if (risk.loss_K.empty() || risk.loss_K.size() != risk.share_K.size()) {
    throw std::invalid_argument("there are " + std::to_string(risk.loss_K.size()) + " group losses and " +
                                std::to_string(risk.share_K.size()) + " shares, expected one of each for every group");
  }
  for (std::size_t g = 0; g < risk.loss_K.size(); ++g) {
    if (!std::isfinite(risk.loss_K[g])) {
      throw std::invalid_argument("group " + std::to_string(g) + " has loss " + number_text(risk.loss_K[g]) +
                                  ", expected a finite one");
    }
    if (!std::isfinite(risk.share_K[g]) || risk.share_K[g] <= 0) {
      throw std::invalid_argument("group " + std::to_string(g) + " has share " + number_text(risk.share_K[g]) +
                                  ", expected > 0");
    }
  }
  constexpr double kRounding = 1e-6;  // of shares that somebody typed or summed up
  const double total = std::accumulate(risk.share_K.begin(), risk.share_K.end(), 0.0);
  if (std::abs(total - 1) > kRounding)
    throw std::invalid_argument("the shares sum to " + number_text(total) + ", expected 1");
}

// Groups of one loss, taken together. `groups` lists them from the worst down.
struct Level {
  double loss;   // from -1 for the best group to 0 for the worst
  double share;  // sum of p_g
  std::size_t begin, end;
};

struct Ranking {
  std::vector<std::size_t> groups;
  std::vector<Level> levels;  // strictly descending loss
};

// Losses that differ by no more are equal: sums over the same pairs in another order differ by as much.
constexpr double kRelativeRounding = 1e-12;

Ranking rank(const GroupRisk& risk) {
  Ranking ranking;
  ranking.groups.resize(risk.loss_K.size());
  std::iota(ranking.groups.begin(), ranking.groups.end(), std::size_t{0});
  std::sort(ranking.groups.begin(), ranking.groups.end(),
            [&](std::size_t a, std::size_t b) { return risk.loss_K[a] > risk.loss_K[b]; });
  // In [-1, 0], from halves: then no difference and no square overflows. The weights do not depend on the scale.
  const double worst = risk.loss_K[ranking.groups.front()] / 2;
  const double best = risk.loss_K[ranking.groups.back()] / 2;
  const double rounding = kRelativeRounding * std::max(std::abs(worst), std::abs(best));
  const double spread = worst - best > rounding ? worst - best : 0;
  for (std::size_t i = 0; i < ranking.groups.size(); ++i) {
    const std::size_t g = ranking.groups[i];
    const double loss = spread > 0 ? (risk.loss_K[g] / 2 - worst) / spread : 0;
    const bool is_lower = ranking.levels.empty() || (ranking.levels.back().loss - loss) * spread > rounding;
    if (is_lower) ranking.levels.push_back({loss, 0, i, i});
    ranking.levels.back().share += risk.share_K[g];
    ranking.levels.back().end = i + 1;
  }
  return ranking;
}

// w_g = ratio * p_g for the groups of `level`.
void set_level(std::vector<double>& weight_K, const GroupRisk& risk, const Ranking& ranking, const Level& level,
               double ratio) {
  for (std::size_t i = level.begin; i < level.end; ++i) {
    weight_K[ranking.groups[i]] = ratio * risk.share_K[ranking.groups[i]];
  }
}

void normalize(std::vector<double>& weight_K) {
  const double total = std::accumulate(weight_K.begin(), weight_K.end(), 0.0);
  for (double& weight : weight_K) weight /= total;
}

// Mean and variance of the loss over the worst levels, weighted by share; updated level by level (West 1979).
struct TopMoments {
  double share = 0, mean = 0, squares = 0;  // squares: sum of share * (loss - mean)^2
  void add(const Level& level) {
    share += level.share;
    const double step = level.loss - mean;
    mean += step * level.share / share;
    squares += level.share * step * (level.loss - mean);
  }
};

// The weights are p_g * max(loss - threshold, 0) / Z. For the right number of worst levels with weight > 0 the
// distance is exactly rho: 1 + 2 rho = sum w^2/p = (variance / (mean - threshold)^2 + 1) / share.
double chi_square_threshold(const Ranking& ranking, double rho) {
  TopMoments top;
  for (std::size_t i = 0; i < ranking.levels.size(); ++i) {
    top.add(ranking.levels[i]);
    const double room = top.share * (1 + 2 * rho) - 1;
    if (room <= 0) continue;  // these levels alone are farther than rho from p
    const double threshold = top.mean - std::sqrt(top.squares / top.share / room);
    if (i + 1 == ranking.levels.size() || ranking.levels[i + 1].loss <= threshold) return threshold;
  }
  return -std::numeric_limits<double>::infinity();  // rho = 0 up to rounding
}

}  // namespace

std::vector<double> cvar_weights(const GroupRisk& risk, double kappa) {
  check_risk(risk);
  if (!(kappa > 0 && kappa <= 1))
    throw std::invalid_argument("kappa is " + number_text(kappa) + ", expected a number in (0, 1]");
  const Ranking ranking = rank(risk);
  std::vector<double> weight_K(risk.loss_K.size(), 0.0);
  double left = kappa;  // part of the population still to be filled from the worst down
  for (const Level& level : ranking.levels) {
    const double taken = std::min(left, level.share);
    set_level(weight_K, risk, ranking, level, taken / level.share);
    left -= taken;
    if (left <= 0) break;
  }
  normalize(weight_K);
  return weight_K;
}

std::vector<double> chi_square_weights(const GroupRisk& risk, double rho) {
  check_risk(risk);
  if (!(rho >= 0 && std::isfinite(rho)))
    throw std::invalid_argument("rho is " + number_text(rho) + ", expected a number >= 0");
  const Ranking ranking = rank(risk);
  std::vector<double> weight_K(risk.loss_K.size(), 0.0);
  const Level& worst = ranking.levels[0];
  if (worst.share * (1 + 2 * rho) >= 1) {
    set_level(weight_K, risk, ranking, worst, 1);
  } else if (const double threshold = chi_square_threshold(ranking, rho); std::isfinite(threshold)) {
    for (const Level& level : ranking.levels) {
      set_level(weight_K, risk, ranking, level, std::max(level.loss - threshold, 0.0));
    }
  } else {
    std::copy(risk.share_K.begin(), risk.share_K.end(), weight_K.begin());
  }
  normalize(weight_K);
  return weight_K;
}

std::vector<double> kl_weights(const GroupRisk& risk, double tau) {
  check_risk(risk);
  if (!(tau > 0 && std::isfinite(tau)))
    throw std::invalid_argument("tau is " + number_text(tau) + ", expected a number > 0");
  const double worst = *std::max_element(risk.loss_K.begin(), risk.loss_K.end());
  std::vector<double> weight_K(risk.loss_K.size());
  for (std::size_t g = 0; g < weight_K.size(); ++g) {
    const double below_worst = std::max((risk.loss_K[g] - worst) / tau, kLowestLogWeight);
    weight_K[g] = std::log(risk.share_K[g]) + below_worst;
  }
  normalize_log_simplex(weight_K);
  for (double& weight : weight_K) weight = std::exp(weight);
  return weight_K;
}

std::vector<double> closed_form_weights(const RobustSettings& settings, const GroupRisk& risk) {
  switch (settings.ambiguity_set) {
    case AmbiguitySet::kCvar:
      return cvar_weights(risk, settings.kappa);
    case AmbiguitySet::kChiSquare:
      return chi_square_weights(risk, settings.rho);
    case AmbiguitySet::kKl:
      return kl_weights(risk, settings.tau);
    case AmbiguitySet::kSimplex:
      break;
  }
  throw std::invalid_argument("the ambiguity set has no closed form");
}

}  // namespace equipoise
