#include "experiments/bandits/duality_gap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "common/base/error.h"
#include "common/base/number_text.h"
#include "common/log_linear/closed_form.h"

namespace equipoise::log_linear {
namespace {

constexpr int kMostNewtonSteps = 500;
// Below this decrement^2, relative to the value, full steps converge quadratically and differences of values are
// rounding.
constexpr double kQuadratic = 1e-11;

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

double norm(std::span<const double> a) { return std::sqrt(dot(a, a)); }

// l, dl/dh and d2l/dh2 of one pair.
struct Derivatives {
  double loss;
  double slope;
  double curvature;
};

Derivatives derivatives(const LossSettings& loss, double h) {
  if (loss.type == PairLoss::kIpo) {
    const double distance = h - loss.target();
    return {distance * distance + loss.offset(), 2 * distance, 2};
  }
  const double z = loss.beta * h;
  const double e = std::exp(-std::abs(z));
  const double away = e / (1 + e);  // sigmoid(-|z|)
  const double sigmoid = z > 0 ? away : 1 - away;
  return {std::max(-z, 0.0) + std::log1p(e) + loss.smoothing() * z, loss.beta * (loss.smoothing() - sigmoid),
          loss.beta * loss.beta * away * (1 - away)};
}

// f(theta) = sum_g c_g sum_{i in g} l_i with gradient and Hessian, and Newton's method on f + mu |theta|^2 / 2.
class NewtonSolver {
 public:
  NewtonSolver(const PairMatrix& matrix, const LossSettings& loss, std::span<const double> coefficient_K)
      : matrix_(matrix),
        loss_(loss),
        coefficient_K_(coefficient_K),
        theta_(matrix.dim, 0.0),
        gradient_(matrix.dim),
        hessian_(matrix.dim * (matrix.dim + 1)) {
    evaluate();
  }

  // Newton steps until decrement^2 <= small * (1 + |f|), or they are used up, or rounding lets them gain no more.
  void minimise(double mu, double small) {
    double before = std::numeric_limits<double>::infinity();
    while (steps_ < kMostNewtonSteps && direction(mu)) {
      const double scale = 1 + std::abs(value_);
      if (decrement2_ <= small * scale) return;
      ++steps_;
      if (decrement2_ > kQuadratic * scale) {
        if (!move(mu)) return;
      } else {
        if (decrement2_ > before / 4) return;
        before = decrement2_;
        for (std::size_t j = 0; j < theta_.size(); ++j) theta_[j] += step_[j];
        evaluate();
      }
    }
  }

  void scale_to(double radius) {
    const double factor = radius / norm(theta_);
    for (double& value : theta_) value *= factor;
    evaluate();
  }

  std::span<const double> theta() const { return theta_; }
  std::span<const double> gradient() const { return gradient_; }
  double value() const { return value_; }
  double decrement2() const { return decrement2_; }
  int steps() const { return steps_; }

 private:
  double value_at(std::span<const double> theta) const {
    double sum = 0;
    for (std::size_t pair = 0; pair < matrix_.pairs(); ++pair) {
      const double c = coefficient_K_[matrix_.group_N[pair]];
      if (c > 0) sum += c * derivatives(loss_, dot(matrix_.row(pair), theta)).loss;
    }
    return sum;
  }

  void evaluate() {
    value_ = 0;
    std::fill(gradient_.begin(), gradient_.end(), 0.0);
    std::fill(hessian_.begin(), hessian_.end(), 0.0);
    const std::size_t width = matrix_.dim + 1;
    for (std::size_t pair = 0; pair < matrix_.pairs(); ++pair) {
      const double c = coefficient_K_[matrix_.group_N[pair]];
      if (c == 0) continue;
      const std::span<const double> x = matrix_.row(pair);
      const Derivatives at = derivatives(loss_, dot(x, theta_));
      value_ += c * at.loss;
      for (std::size_t j = 0; j < x.size(); ++j) {
        gradient_[j] += c * at.slope * x[j];
        for (std::size_t k = 0; k <= j; ++k) hessian_[j * width + k] += c * at.curvature * x[j] * x[k];
      }
    }
  }

  // p = -(H + mu I)^-1 (g + mu theta), with a little damping. False if even that is singular.
  bool direction(double mu) {
    constexpr double kDamping = 1e-12;
    const std::size_t dim = matrix_.dim;
    system_ = hessian_;
    double largest = 0;
    for (std::size_t j = 0; j < dim; ++j) largest = std::max(largest, hessian_[j * (dim + 1) + j]);
    for (std::size_t j = 0; j < dim; ++j) {
      system_[j * (dim + 1) + j] += mu + kDamping * largest;
      system_[j * (dim + 1) + dim] = -(gradient_[j] + mu * theta_[j]);
    }
    if (!solve_positive_definite(system_, dim)) return false;
    step_.resize(dim);
    decrement2_ = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      step_[j] = system_[j * (dim + 1) + dim];
      decrement2_ -= (gradient_[j] + mu * theta_[j]) * step_[j];
    }
    return std::isfinite(decrement2_);
  }

  // Halves the step until Armijo's rule holds. False if rounding leaves no step that lowers the value.
  bool move(double mu) {
    constexpr double kSufficient = 1e-4;
    constexpr int kMostHalvings = 40;
    const std::vector<double> from = theta_;
    const double start = value_ + mu / 2 * dot(from, from);
    double length = 1;
    for (int halving = 0; halving < kMostHalvings; ++halving, length /= 2) {
      for (std::size_t j = 0; j < theta_.size(); ++j) theta_[j] = from[j] + length * step_[j];
      const double reached = value_at(theta_) + mu / 2 * dot(theta_, theta_);
      if (reached <= start - kSufficient * length * decrement2_) break;
      if (halving == kMostHalvings - 1) theta_ = from;
    }
    evaluate();
    return theta_ != from;
  }

  const PairMatrix& matrix_;
  const LossSettings& loss_;
  std::span<const double> coefficient_K_;
  std::vector<double> theta_;
  double value_ = 0;
  std::vector<double> gradient_;
  std::vector<double> hessian_;  // [D, D + 1], lower triangle
  std::vector<double> system_;
  std::vector<double> step_;
  double decrement2_ = 0;
  int steps_ = 0;
};

WeightedMinimum result_of(const NewtonSolver& solver, double below, double tolerance) {
  WeightedMinimum result;
  result.theta_D.assign(solver.theta().begin(), solver.theta().end());
  result.value = solver.value();
  result.lower_bound = solver.value() - below;
  result.iterations = solver.steps();
  result.converged = below <= tolerance * (1 + std::abs(solver.value()));
  return result;
}

// f is convex: f(theta') >= f(theta) + <g, theta' - theta>, and <g, theta'> >= -radius |g| in the ball.
double distance_below(const NewtonSolver& solver, double radius) {
  return std::max(0.0, dot(solver.gradient(), solver.theta()) + radius * norm(solver.gradient()));
}

WeightedMinimum minimise_in_ball(NewtonSolver& solver, double radius, double tolerance) {
  constexpr double kAsFarAsRoundingLets = 1e-28;
  constexpr double kSmallestShare = 1e-16;  // a multiplier this far below the largest: the minimum is inside
  // |theta(mu)| <= |gradient at 0| / mu, so the multiplier sought is at most:
  double high = norm(solver.gradient()) / radius;
  double low = high * kSmallestShare;
  WeightedMinimum best = result_of(solver, distance_below(solver, radius), tolerance);
  while (!best.converged && solver.steps() < kMostNewtonSteps && high > low * (1 + 1e-15)) {
    const double mu = std::sqrt(low * high);
    solver.minimise(mu, kAsFarAsRoundingLets);
    const bool outside = norm(solver.theta()) > radius;
    (outside ? low : high) = mu;
    if (outside) solver.scale_to(radius);
    const WeightedMinimum here = result_of(solver, distance_below(solver, radius), tolerance);
    if (here.value - here.lower_bound < best.value - best.lower_bound) best = here;
  }
  best.iterations = solver.steps();
  return best;
}

void check_coefficients(std::span<const double> coefficient_K, std::size_t groups) {
  if (coefficient_K.size() != groups) {
    throw std::invalid_argument("there are " + std::to_string(coefficient_K.size()) + " group coefficients, expected " +
                                std::to_string(groups));
  }
  double sum = 0;
  for (const double c : coefficient_K) {
    if (!std::isfinite(c) || c < 0) {
      throw std::invalid_argument("a group coefficient is " + number_text(c) + ", expected a finite number >= 0");
    }
    sum += c;
  }
  if (sum == 0) throw std::invalid_argument("all group coefficients are 0, expected a positive one");
}

}  // namespace

WeightedMinimum minimise_weighted_loss(const PairMatrix& matrix, const LossSettings& loss,
                                       std::span<const double> coefficient_K, double radius, double tolerance) {
  check_loss(loss);
  if (loss.type == PairLoss::kHinge) throw std::invalid_argument("loss.type is hinge, expected dpo or ipo");
  check_coefficients(coefficient_K, matrix.groups);
  NewtonSolver solver(matrix, loss, coefficient_K);
  if (radius > 0) return minimise_in_ball(solver, radius, tolerance);
  solver.minimise(0, tolerance);
  return result_of(solver, solver.decrement2(), tolerance);
}

DualityGap duality_gap(const PairMatrix& matrix, const LossSettings& loss, std::span<const double> theta_D,
                       std::span<const double> weight_K, double trade_off, double radius) {
  EQUIPOISE_CHECK(theta_D.size() == matrix.dim);
  const std::vector<double> count_K = matrix.group_counts();
  std::vector<double> loss_K(matrix.groups, 0.0);
  for (std::size_t pair = 0; pair < matrix.pairs(); ++pair) {
    loss_K[matrix.group_N[pair]] += derivatives(loss, dot(matrix.row(pair), theta_D)).loss;
  }
  std::vector<double> coefficient_K(weight_K.begin(), weight_K.end());
  for (std::size_t g = 0; g < matrix.groups; ++g) {
    if (count_K[g] == 0) throw std::invalid_argument("group " + std::to_string(g) + " has no pairs: no duality gap");
    loss_K[g] /= count_K[g];
    coefficient_K[g] /= count_K[g];
  }
  const double mean = std::accumulate(loss_K.begin(), loss_K.end(), 0.0) / static_cast<double>(matrix.groups);
  const WeightedMinimum minimum = minimise_weighted_loss(matrix, loss, coefficient_K, radius);
  DualityGap result;
  result.primal = (1 - trade_off) * mean + trade_off * *std::max_element(loss_K.begin(), loss_K.end());
  result.dual = minimum.lower_bound;
  result.gap = result.primal - result.dual;
  result.converged = minimum.converged;
  return result;
}

}  // namespace equipoise::log_linear
