#include "common/log_linear/pair_kernel.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "common/base/message_text.h"

// Vectors wider than the baseline's registers never cross a call that is not inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace equipoise::log_linear {
namespace {

#define EQUIPOISE_INLINE [[gnu::always_inline]] inline

// kWidth doubles in one register; kLanes is a multiple of it.
template <std::size_t kWidth>
struct Register {
  using Vector [[gnu::vector_size(kWidth * sizeof(double))]] = double;
  using Bits [[gnu::vector_size(kWidth * sizeof(double))]] = std::int64_t;
};

template <class Vector>
EQUIPOISE_INLINE Vector load(const double* from) {
  Vector result;
  __builtin_memcpy(&result, from, sizeof result);
  return result;
}

template <class Vector>
EQUIPOISE_INLINE void store(double* to, const Vector& value) {
  __builtin_memcpy(to, &value, sizeof value);
}

// A fixed order, so that a sum does not depend on the width of the registers.
EQUIPOISE_INLINE double sum_lanes(const double* v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

// exp(-a) for a >= 0. a = k log 2 - r with |r| <= log(2)/2; exp(r) = 1 + r + r^2 q(r), q the Chebyshev fit of degree 9
// (error 1.3e-17 of the result). Beyond 708 the result is that at 708, 3e-308. NaN stays NaN.
template <class Vector, class Bits>
EQUIPOISE_INLINE Vector exp_minus(const Vector& a) {
  constexpr double kLogHigh = 0x1.62e42feep-1;  // the first 32 bits of log 2: a product with k is exact
  constexpr double kLogLow = 1.9082149292705878e-10;
  constexpr double kRoundToInteger = 0x1.8p52;  // adding it leaves the nearest integer in the low bits
  const Vector bounded = a > 708.0 ? Vector{} + 708.0 : a;
  const Vector shifted = bounded * 1.4426950408889634 + kRoundToInteger;
  const Vector k = shifted - kRoundToInteger;
  const Vector r = (k * kLogHigh - bounded) + k * kLogLow;
  const Vector r2 = r * r;
  const Vector even = (((2.7620088445409748e-7 * r2 + 2.4801521295954375e-5) * r2 + 1.3888888917213717e-3) * r2 +
                       4.1666666666624128e-2) *
                          r2 +
                      0.5;
  const Vector odd = (((2.5100385495510319e-8 * r2 + 2.7557268459997065e-6) * r2 + 1.9841269863053617e-4) * r2 +
                      8.3333333333300618e-3) *
                         r2 +
                     0.16666666666666667;
  const Vector result = 1.0 + (r + r2 * (even + r * odd));
  const Bits exponent = (1023 - reinterpret_cast<Bits>(shifted)) << 52;
  return result * reinterpret_cast<Vector>(exponent);
}

// Loss and dl/dh of each pair, dl/dh without the factor that slope_factor() has for all of them.
template <class Vector>
struct Pointwise {
  Vector loss;
  Vector slope;
};

double slope_factor(const LossSettings& loss) { return loss.type == PairLoss::kIpo ? 2.0 : loss.beta; }

// What the loops below need of LossSettings.
struct Constants {
  explicit Constants(const LossSettings& loss)
      : beta(loss.beta), smoothing(loss.smoothing()), target(loss.target()), offset(loss.offset()) {}
  double beta, smoothing, target, offset;
};

template <class Vector>
EQUIPOISE_INLINE Pointwise<Vector> ipo(const Vector& h, const Constants& loss) {
  const Vector distance = h - loss.target;
  return {distance * distance + loss.offset, distance};
}

// Comparisons that are false for NaN leave it in the loss.
template <class Vector>
EQUIPOISE_INLINE Pointwise<Vector> hinge(const Vector& h, const Constants& loss) {
  const Vector distance = 1.0 - loss.beta * h;
  const Vector zero = {};
  return {distance < 0.0 ? zero : distance, distance < 0.0 ? zero : zero - 1.0};
}

// With e = exp(-|z|), z = beta h: log(1 + e) = 2 atanh(s), s = e / (2 + e) <= 1/3, atanh(s) = s + s^3 p(s^2), p the
// Chebyshev fit of degree 9 (error 5e-18 of the result). One division gives both 1 / (2 + e) and 1 / (1 + e).
template <class Vector, class Bits>
EQUIPOISE_INLINE Pointwise<Vector> dpo(const Vector& h, const Constants& loss) {
  const Vector z = loss.beta * h;
  const Vector distance = z > 0.0 ? z : -z;
  const Vector e = exp_minus<Vector, Bits>(distance);
  const Vector both = 1.0 / ((1.0 + e) * (2.0 + e));
  const Vector s = e * ((1.0 + e) * both);
  const Vector t = s * s;
  const Vector t2 = t * t;
  const Vector even =
      (((0.044003692430723369 * t2 + 0.066570721048274681) * t2 + 0.090908947180664291) * t2 + 0.14285714283554379) *
          t2 +
      0.33333333333333329;
  const Vector odd =
      (((0.080820228059717661 * t2 + 0.060005364047953563) * t2 + 0.076927850324793116) * t2 + 0.11111111358713932) *
          t2 +
      0.20000000000007291;
  const Vector log1p = 2.0 * (s + s * t * (even + t * odd));
  const Vector inverse = (2.0 + e) * both;  // 1 / (1 + e)
  const Vector softplus = z > 0.0 ? log1p : log1p - z;
  const Vector sigmoid = z > 0.0 ? e * inverse : inverse;  // sigmoid(-z)
  return {softplus + loss.smoothing * z, loss.smoothing - sigmoid};
}

// Sums over lanes [lane, lane + kWidth) of all blocks. kDim > 0: dim is known and the sums stay in registers;
// kDim = 0: any dim, the sums live in gradient_lanes [dim, kLanes].
template <PairLoss kLoss, std::size_t kDim, std::size_t kWidth>
EQUIPOISE_INLINE void accumulate_lanes(const PairBlocks& blocks, const Constants& loss, const double* theta,
                                       std::size_t lane, double* loss_lanes, double* gradient_lanes) {
  using Vector = typename Register<kWidth>::Vector;
  using Bits = typename Register<kWidth>::Bits;
  const std::size_t dim = kDim > 0 ? kDim : blocks.dim;
  Vector gradient[kDim > 0 ? kDim : 1] = {};
  Vector loss_sum = {};
  for (std::size_t block = 0; block < blocks.count; ++block) {
    const double* const x = blocks.x + block * dim * kLanes + lane;
    Vector h = {};
    for (std::size_t j = 0; j < dim; ++j) h += load<Vector>(x + j * kLanes) * theta[j];
    Pointwise<Vector> at;
    if constexpr (kLoss == PairLoss::kDpo) at = dpo<Vector, Bits>(h, loss);
    if constexpr (kLoss == PairLoss::kIpo) at = ipo(h, loss);
    if constexpr (kLoss == PairLoss::kHinge) at = hinge(h, loss);
    loss_sum += at.loss * load<Vector>(blocks.mask + block * kLanes + lane);
    for (std::size_t j = 0; j < dim; ++j) {
      const Vector term = at.slope * load<Vector>(x + j * kLanes);
      if constexpr (kDim > 0) gradient[j] += term;
      if constexpr (kDim == 0) {
        double* const sum = gradient_lanes + j * kLanes + lane;
        store<Vector>(sum, load<Vector>(sum) + term);
      }
    }
  }
  store(loss_lanes + lane, loss_sum);
  if constexpr (kDim > 0) {
    for (std::size_t j = 0; j < dim; ++j) store(gradient_lanes + j * kLanes + lane, gradient[j]);
  }
}

template <PairLoss kLoss, std::size_t kDim, std::size_t kWidth>
EQUIPOISE_INLINE double accumulate(const PairBlocks& blocks, const LossSettings& loss, const double* theta,
                                   double* gradient, double* gradient_lanes) {
  const Constants constants(loss);
  double loss_lanes[kLanes] = {};
  for (std::size_t j = 0; j < blocks.dim * kLanes; ++j) gradient_lanes[j] = 0;
  for (std::size_t lane = 0; lane < kLanes; lane += kWidth) {
    accumulate_lanes<kLoss, kDim, kWidth>(blocks, constants, theta, lane, loss_lanes, gradient_lanes);
  }
  const double factor = slope_factor(loss);
  for (std::size_t j = 0; j < blocks.dim; ++j) gradient[j] = factor * sum_lanes(gradient_lanes + j * kLanes);
  return sum_lanes(loss_lanes);
}

template <PairLoss kLoss, std::size_t kWidth>
EQUIPOISE_INLINE double dispatch_dim(const PairBlocks& blocks, const LossSettings& loss, const double* theta,
                                     double* gradient, double* lanes) {
  constexpr std::size_t kPaperDim = 4;  // two state coordinates
  return blocks.dim == kPaperDim ? accumulate<kLoss, kPaperDim, kWidth>(blocks, loss, theta, gradient, lanes)
                                 : accumulate<kLoss, 0, kWidth>(blocks, loss, theta, gradient, lanes);
}

template <std::size_t kWidth>
EQUIPOISE_INLINE double dispatch(const PairBlocks& blocks, const LossSettings& loss, const double* theta,
                                 double* gradient, double* lanes) {
  switch (loss.type) {
    case PairLoss::kDpo:
      return dispatch_dim<PairLoss::kDpo, kWidth>(blocks, loss, theta, gradient, lanes);
    case PairLoss::kIpo:
      return dispatch_dim<PairLoss::kIpo, kWidth>(blocks, loss, theta, gradient, lanes);
    case PairLoss::kHinge:
      return dispatch_dim<PairLoss::kHinge, kWidth>(blocks, loss, theta, gradient, lanes);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

using Kernel = double (*)(const PairBlocks&, const LossSettings&, const double*, double*, double*);

double baseline(const PairBlocks& blocks, const LossSettings& loss, const double* theta, double* gradient,
                double* lanes) {
  return dispatch<2>(blocks, loss, theta, gradient, lanes);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] double avx2(const PairBlocks& blocks, const LossSettings& loss, const double* theta,
                                    double* gradient, double* lanes) {
  return dispatch<4>(blocks, loss, theta, gradient, lanes);
}

[[gnu::target("avx512f,avx512dq")]] double avx512(const PairBlocks& blocks, const LossSettings& loss,
                                                  const double* theta, double* gradient, double* lanes) {
  return dispatch<8>(blocks, loss, theta, gradient, lanes);
}

constexpr Instructions kAll[] = {Instructions::kBaseline, Instructions::kAvx2, Instructions::kAvx512};

std::size_t count_supported() {
  if (!__builtin_cpu_supports("avx2")) return 1;
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") ? 3 : 2;
}

Kernel kernel_of(Instructions instructions) {
  if (instructions == Instructions::kAvx512) return avx512;
  return instructions == Instructions::kAvx2 ? avx2 : baseline;
}
#else
constexpr Instructions kAll[] = {Instructions::kBaseline};

std::size_t count_supported() { return 1; }

Kernel kernel_of(Instructions) { return baseline; }
#endif

}  // namespace

void check_loss(const LossSettings& loss) {
  if (!std::isfinite(loss.beta) || loss.beta <= 0) {
    throw std::invalid_argument("loss.beta is " + number_text(loss.beta) + ", expected > 0");
  }
  if (!(loss.label_smoothing >= 0 && loss.label_smoothing < 0.5)) {
    throw std::invalid_argument("loss.label_smoothing is " + number_text(loss.label_smoothing) +
                                ", expected a number in [0, 0.5)");
  }
  if (!(loss.label_noise >= 0 && loss.label_noise < 0.5)) {
    throw std::invalid_argument("loss.label_noise is " + number_text(loss.label_noise) +
                                ", expected a number in [0, 0.5)");
  }
  if (loss.label_noise > 0 && loss.type == PairLoss::kHinge) {
    throw std::invalid_argument("loss.label_noise is " + number_text(loss.label_noise) +
                                " with loss.type hinge, expected loss.type dpo or ipo");
  }
}

std::span<const Instructions> supported_instructions() {
  static const std::size_t supported = count_supported();
  return std::span(kAll).first(supported);
}

double sum_losses_with(Instructions instructions, const PairBlocks& blocks, const LossSettings& loss,
                       std::span<const double> theta_D, std::span<double> gradient_D, std::span<double> lane_scratch) {
  return kernel_of(instructions)(blocks, loss, theta_D.data(), gradient_D.data(), lane_scratch.data());
}

double sum_losses(const PairBlocks& blocks, const LossSettings& loss, std::span<const double> theta_D,
                  std::span<double> gradient_D, std::span<double> lane_scratch) {
  static const Kernel widest = kernel_of(supported_instructions().back());
  return widest(blocks, loss, theta_D.data(), gradient_D.data(), lane_scratch.data());
}

}  // namespace equipoise::log_linear
