#include "experiments/bandits/duality_gap.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "common/base/error.h"
#include "common/base/message_text.h"
#include "common/robust/worst_group.h"

namespace equipoise::log_linear {
namespace {

constexpr int kMostNewtonSteps = 500;
// Below this decrement^2, relative to the value, full steps converge quadratically and differences of values are
// rounding.
constexpr double kQuadratic = 1e-11;

using Eigen::VectorXd;
using VectorView = Eigen::Map<const VectorXd>;

VectorView view(std::span<const double> values) { return {values.data(), static_cast<Eigen::Index>(values.size())}; }

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
        theta_(VectorXd::Zero(static_cast<Eigen::Index>(matrix.dim))) {
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
        theta_ += step_;
        evaluate();
      }
    }
  }

  void scale_to(double radius) {
    theta_ *= radius / theta_.norm();
    evaluate();
  }

  const VectorXd& theta() const { return theta_; }
  const VectorXd& gradient() const { return gradient_; }
  double value() const { return value_; }
  double decrement2() const { return decrement2_; }
  int steps() const { return steps_; }

 private:
  double value_at(const VectorXd& theta) const {
    double sum = 0;
    for (std::size_t pair = 0; pair < matrix_.pairs(); ++pair) {
      const double c = coefficient_K_[matrix_.group_N[pair]];
      if (c > 0) sum += c * derivatives(loss_, view(matrix_.row(pair)).dot(theta)).loss;
    }
    return sum;
  }

  void evaluate() {
    value_ = 0;
    gradient_.setZero(theta_.size());
    hessian_.setZero(theta_.size(), theta_.size());
    for (std::size_t pair = 0; pair < matrix_.pairs(); ++pair) {
      const double c = coefficient_K_[matrix_.group_N[pair]];
      if (c == 0) continue;
      const VectorView x = view(matrix_.row(pair));
      const Derivatives at = derivatives(loss_, x.dot(theta_));
      value_ += c * at.loss;
      gradient_ += c * at.slope * x;
      hessian_.selfadjointView<Eigen::Lower>().rankUpdate(x, c * at.curvature);
    }
  }

  // p = -(H + mu I)^-1 (g + mu theta), with a little damping. False if even that is singular.
  bool direction(double mu) {
    constexpr double kDamping = 1e-12;
    Eigen::MatrixXd damped = hessian_;
    damped.diagonal().array() += mu + kDamping * hessian_.diagonal().maxCoeff();
    const Eigen::LLT<Eigen::MatrixXd, Eigen::Lower> cholesky(damped);
    if (cholesky.info() != Eigen::Success) return false;
    const VectorXd slope = gradient_ + mu * theta_;
    step_ = -cholesky.solve(slope);
    decrement2_ = -slope.dot(step_);
    return std::isfinite(decrement2_);
  }

  // Halves the step until Armijo's rule holds. False if rounding leaves no step that lowers the value.
  bool move(double mu) {
    constexpr double kSufficient = 1e-4;
    constexpr int kMostHalvings = 40;
    const VectorXd from = theta_;
    const double start = value_ + mu / 2 * from.squaredNorm();
    double length = 1;
    for (int halving = 0; halving < kMostHalvings; ++halving, length /= 2) {
      theta_ = from + length * step_;
      const double reached = value_at(theta_) + mu / 2 * theta_.squaredNorm();
      if (reached <= start - kSufficient * length * decrement2_) break;
      if (halving == kMostHalvings - 1) theta_ = from;
    }
    evaluate();
    return theta_ != from;
  }

  const PairMatrix& matrix_;
  const LossSettings& loss_;
  std::span<const double> coefficient_K_;
  VectorXd theta_;
  double value_ = 0;
  VectorXd gradient_;
  Eigen::MatrixXd hessian_;  // the lower triangle
  VectorXd step_;
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
  return std::max(0.0, solver.gradient().dot(solver.theta()) + radius * solver.gradient().norm());
}

WeightedMinimum minimise_in_ball(NewtonSolver& solver, double radius, double tolerance) {
  constexpr double kAsFarAsRoundingLets = 1e-28;
  constexpr double kSmallestShare = 1e-16;  // a multiplier this far below the largest: the minimum is inside
  // |theta(mu)| <= |gradient at 0| / mu, so the multiplier sought is at most:
  double high = solver.gradient().norm() / radius;
  double low = high * kSmallestShare;
  WeightedMinimum best = result_of(solver, distance_below(solver, radius), tolerance);
  while (!best.converged && solver.steps() < kMostNewtonSteps && high > low * (1 + 1e-15)) {
    const double mu = std::sqrt(low * high);
    solver.minimise(mu, kAsFarAsRoundingLets);
    const bool outside = solver.theta().norm() > radius;
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
    loss_K[matrix.group_N[pair]] += derivatives(loss, view(matrix.row(pair)).dot(view(theta_D))).loss;
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
  result.primal = (1 - trade_off) * mean + trade_off * worst_group_loss(loss_K);
  result.dual = minimum.lower_bound;
  result.gap = result.primal - result.dual;
  result.converged = minimum.converged;
  return result;
}

}  // namespace equipoise::log_linear
