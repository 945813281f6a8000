// The inner loop: losses and gradients of the pairs of one group, eight at a time.
//   h = <x, theta>
//   DPO  l = -(1-eps) log sigmoid(beta h) - eps log sigmoid(-beta h)     dl/dh = beta (eps - sigmoid(-beta h))
//   IPO  l = (h - 1/(2 beta))^2                                          dl/dh = 2 (h - 1/(2 beta))
//
// exp and log(1+x) are polynomials of our own, within 4 units in the last place of the exact value; no product is fused
// with a sum. So SSE2, AVX2 and AVX-512 give the same bits, and so does every machine of a cluster.
#pragma once

#include <cstddef>
#include <span>

namespace equipoise::log_linear {

inline constexpr std::size_t kLanes = 8;

struct PairBlocks {
  const double* x = nullptr;     // [count, dim, kLanes]
  const double* mask = nullptr;  // [count, kLanes]  1 for a pair, 0 for padding (where x is 0 too)
  std::size_t count = 0;
  std::size_t dim = 0;
};

enum class PairLoss { kDpo, kIpo };

struct LossSettings {
  PairLoss type = PairLoss::kDpo;
  double beta = 0.1;             // > 0
  double label_smoothing = 0.0;  // eps in [0, 0.5), DPO only
};

// Throws std::invalid_argument naming the field, its value and its range.
void check_loss(const LossSettings& loss);

// Returns sum_i l_i and writes sum_i dl_i/dtheta.
//   lane_scratch  [dim * kLanes]  overwritten
// A theta that is not finite, or losses beyond float64, give a result that is not finite.
double sum_losses(const PairBlocks& blocks, const LossSettings& loss, std::span<const double> theta_D,
                  std::span<double> gradient_D, std::span<double> lane_scratch);

// The instruction sets there is a kernel for. sum_losses takes the widest that this processor has.
enum class Instructions { kBaseline, kAvx2, kAvx512 };
std::span<const Instructions> supported_instructions();  // narrowest first
double sum_losses_with(Instructions instructions, const PairBlocks& blocks, const LossSettings& loss,
                       std::span<const double> theta_D, std::span<double> gradient_D, std::span<double> lane_scratch);

}  // namespace equipoise::log_linear
