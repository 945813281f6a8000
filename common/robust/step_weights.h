// Where the group weights of a step come from. Every rank has one, and all call it for the same steps.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "common/robust/group_weights.h"

namespace equipoise {

// One step as it is told to the owner of alpha.
struct ReportedStep {
  std::int64_t step = 0;
  const GroupSums& sums;                           // of the global batch, the same on every rank
  std::span<const std::uint32_t> non_finite = {};  // groups whose loss or gradient is not finite: alpha must stay
};

class StepWeights {
 public:
  virtual ~StepWeights() = default;
  // w_g of each group in the sums, in its order. Throws what GroupWeights and, where another process has alpha, the way
  // to it throw.
  virtual void step(const ReportedStep& report, std::span<double> weight) = 0;
  // The same of `groups`, those of the step under way, before its losses are known: what step() will give then. Where
  // weights do not wait for losses (weights_precede_losses in group_weights.h). Throws as step().
  virtual void weights_before_losses(std::span<const std::uint32_t> groups, std::span<double> weight) = 0;
};

// Computes alpha itself: the same sums give the same bits on every rank. Asks for no memory.
class OwnStepWeights final : public StepWeights {
 public:
  explicit OwnStepWeights(GroupWeights weights) : weights_(std::move(weights)) {}

  void step(const ReportedStep& report, std::span<double> weight) override {
    weights_.step(report.sums, report.non_finite, weight);
  }
  void weights_before_losses(std::span<const std::uint32_t> groups, std::span<double> weight) override {
    weights_.write_gradient_weight(groups, weight);
  }
  const GroupWeights& weights() const { return weights_; }
  // As GroupWeights, from the next step on.
  void set_trade_off(double trade_off) { weights_.set_trade_off(trade_off); }
  void set_step_size(double step_size) { weights_.set_step_size(step_size); }

 private:
  GroupWeights weights_;
};

}  // namespace equipoise
