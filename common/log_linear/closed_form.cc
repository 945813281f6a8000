#include "common/log_linear/closed_form.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "common/base/message_text.h"

namespace equipoise::log_linear {

NormalEquations::NormalEquations(const PairMatrix& matrix, PairRange range)
    : dim_(matrix.dim),
      values_(matrix.groups * matrix.dim * (matrix.dim + 1), 0.0),
      system_(matrix.dim * (matrix.dim + 1), 0.0) {
  for (std::size_t pair = range.first; pair < range.end; ++pair) {
    const std::span<const double> x = matrix.row(pair);
    double* const group = values_.data() + matrix.group_N[pair] * dim_ * (dim_ + 1);
    for (std::size_t j = 0; j < dim_; ++j) {
      double* const row = group + j * (dim_ + 1);
      for (std::size_t k = 0; k < dim_; ++k) row[k] += x[j] * x[k];
      row[dim_] += x[j];
    }
  }
}

void NormalEquations::scale_targets(std::span<const double> factor_K) {
  for (std::size_t g = 0; g < factor_K.size(); ++g) {
    double* const group = values_.data() + g * dim_ * (dim_ + 1);
    for (std::size_t j = 0; j < dim_; ++j) group[j * (dim_ + 1) + dim_] *= factor_K[g];
  }
}

void NormalEquations::solve(std::span<const std::uint32_t> group, std::span<const double> coefficient, double beta,
                            double ridge, std::span<double> theta_D) {
  std::fill(system_.begin(), system_.end(), 0.0);
  const std::size_t size = system_.size();
  for (std::size_t i = 0; i < group.size(); ++i) {
    const double* const values = values_.data() + group[i] * size;
    for (std::size_t j = 0; j < size; ++j) system_[j] += coefficient[i] * values[j];
  }
  for (std::size_t j = 0; j < dim_; ++j) {
    system_[j * (dim_ + 1) + j] += ridge;
    system_[j * (dim_ + 1) + dim_] /= 2 * beta;
  }
  if (!solve_positive_definite(system_, dim_)) {
    throw std::invalid_argument("the closed form has no unique solution with policy.log_linear.ridge = " +
                                number_text(ridge) + ": the pairs do not determine theta; set a larger ridge");
  }
  for (std::size_t j = 0; j < dim_; ++j) theta_D[j] = system_[j * (dim_ + 1) + dim_];
}

bool solve_positive_definite(std::span<double> system, std::size_t dim) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using RowStride = Eigen::OuterStride<>;
  const auto size = static_cast<Eigen::Index>(dim);
  Eigen::Map<Matrix, 0, RowStride> matrix(system.data(), size, size, RowStride(size + 1));
  Eigen::Map<Eigen::VectorXd, 0, Eigen::InnerStride<>> right(system.data() + dim, size, Eigen::InnerStride<>(size + 1));
  // In place: the lower triangle becomes L of A = L L^T.
  const Eigen::LLT<Eigen::Ref<Matrix, 0, RowStride>, Eigen::Lower> cholesky(matrix);
  if (cholesky.info() != Eigen::Success) return false;
  for (Eigen::Index j = 0; j < size; ++j) {
    // What is left of the diagonal is rounding if it is this small beside what it was. False for NaN.
    const double diagonal = matrix.row(j).head(j + 1).squaredNorm();
    const double rounding = static_cast<double>(dim) * 4 * std::numeric_limits<double>::epsilon() * diagonal;
    if (!(matrix(j, j) * matrix(j, j) > rounding) || !std::isfinite(matrix(j, j))) return false;
  }
  const auto lower = matrix.triangularView<Eigen::Lower>();
  lower.solveInPlace(right);
  lower.transpose().solveInPlace(right);
  return true;
}

}  // namespace equipoise::log_linear
