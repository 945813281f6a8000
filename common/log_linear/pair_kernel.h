// The inner loop: losses and gradients of the pairs of one group, eight at a time.
//   h = <x, theta>
//   DPO  l = -(1-eps) log sigmoid(beta h) - eps log sigmoid(-beta h)     dl/dh = beta (eps - sigmoid(-beta h))
//   IPO  l = (h - 1/(2 beta))^2                                          dl/dh = 2 (h - 1/(2 beta))
//   hinge  l = max(0, 1 - beta h)                                        dl/dh = -beta where beta h <= 1, else 0
//
// Label noise: where each label is flipped with probability nu, ((1-nu) l(h) - nu l(-h)) / (1-2 nu) has the mean that l
// has on the clean labels (Natarajan et al. 2013; DPO: Chowdhury et al. 2024, arXiv:2403.00409). That is the same form
// with other numbers:
//   DPO  eps' = (eps - nu) / (1 - 2 nu), which may be negative
//   IPO  (h - c')^2 + c^2 - c'^2 with c = 1/(2 beta), c' = c / (1 - 2 nu)
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

enum class PairLoss { kDpo, kIpo, kHinge };

struct LossSettings {
  PairLoss type = PairLoss::kDpo;
  double beta = 0.1;             // > 0
  double label_smoothing = 0.0;  // eps in [0, 0.5), DPO only
  double label_noise = 0.0;      // nu in [0, 0.5), DPO and IPO only

  // The numbers of the forms above, with the label noise in them.
  double smoothing() const { return (label_smoothing - label_noise) / (1 - 2 * label_noise); }  // eps'
  double target() const { return 1 / (2 * beta) / (1 - 2 * label_noise); }                      // c'
  double offset() const { return 1 / (2 * beta) * (1 / (2 * beta)) - target() * target(); }     // c^2 - c'^2
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
