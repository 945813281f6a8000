#include "worker/model/recomputed.h"

#include <gtest/gtest.h>

#include "tests/worker/support/golden_model.h"
#include "tests/worker/support/memory_meter.h"
#include "worker/model/log_prob.h"

namespace equipoise {
namespace recomputed_test {

// Gradients of the golden model for the sum of all log-probs, and the most memory it took.
struct Gradients {
  torch::Tensor value;
  std::vector<torch::Tensor> of_parameters;
  std::int64_t peak_bytes = 0;
};

Gradients gradients(bool recomputes) {
  Decoder decoder = golden_decoder(kPolicy, torch::kFloat64);
  if (recomputes) decoder.recompute_layers();
  const PackedBatch batch = pack_all(golden_pairs());
  const auto meter = std::make_shared<MemoryMeter>();
  Gradients result;
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
    const PairLogProbs log_probs = pair_log_probs(decoder, batch);
    result.value = (log_probs.chosen_B - 0.5 * log_probs.rejected_B).sum();
    result.value.backward();
  }
  for (const NamedTensor& parameter : decoder.parameters()) result.of_parameters.push_back(parameter.tensor.grad());
  result.peak_bytes = meter->peak();
  return result;
}

TEST(Recomputed, GivesTheGradientsBitByBit) {
  const Gradients kept = gradients(false), again = gradients(true);
  EXPECT_TRUE(kept.value.equal(again.value));
  for (std::size_t i = 0; i < kept.of_parameters.size(); ++i) {
    EXPECT_TRUE(kept.of_parameters[i].equal(again.of_parameters[i])) << i;
  }
}

torch::Tensor deep(const torch::Tensor& x, const torch::Tensor& weight, int layers, bool recomputes) {
  torch::Tensor y = x;
  for (int i = 0; i < layers; ++i) {
    const auto layer = [&weight](const torch::Tensor& in) { return (in.mm(weight).tanh() + in).sin().exp().tanh(); };
    y = recomputes ? recomputed(layer, y) : layer(y);
  }
  return y;
}

std::int64_t peak_of_layers(int layers, bool recomputes) {
  const torch::Tensor weight = torch::eye(64).requires_grad_(), x = torch::ones({256, 64});
  const auto meter = std::make_shared<MemoryMeter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
  deep(x, weight, layers, recomputes).sum().backward();
  return meter->peak();
}

// A layer here keeps 5 tensors of [256, 64]: in, tanh, their sum, exp, tanh. With recomputation only the first.
TEST(Recomputed, KeepsTheInputOfALayerAlone) {
  constexpr std::int64_t kBytes = 256 * 64 * 4;
  const std::int64_t kept = peak_of_layers(20, false) - peak_of_layers(10, false);
  const std::int64_t again = peak_of_layers(20, true) - peak_of_layers(10, true);
  EXPECT_GE(kept, 10 * 4 * kBytes);
  EXPECT_NEAR(static_cast<double>(again), 10.0 * kBytes, 0.1 * 10 * kBytes);
}

TEST(Recomputed, TakesLessMemoryForTheModel) {
  const Gradients kept = gradients(false), again = gradients(true);
  RecordProperty("peak_bytes_kept", std::to_string(kept.peak_bytes));
  RecordProperty("peak_bytes_recomputed", std::to_string(again.peak_bytes));
  EXPECT_LT(again.peak_bytes, kept.peak_bytes);
}

TEST(Recomputed, ReachesTheLayersTensorsWhereItsInputNeedsNoGradient) {
  const torch::Tensor weight = torch::full({2}, 3.0).requires_grad_(), x = torch::ones({2});
  recomputed([&](const torch::Tensor& in) { return in * weight; }, x).sum().backward();
  EXPECT_TRUE(weight.grad().equal(torch::ones({2})));
}

TEST(Recomputed, PassesGradientsThroughALayerWithoutTensorsOfItsOwn) {
  const torch::Tensor x = torch::full({2}, 3.0).requires_grad_();
  recomputed([](const torch::Tensor& in) { return in * in; }, x).sum().backward();
  EXPECT_TRUE(x.grad().equal(torch::full({2}, 6.0)));
}

TEST(Recomputed, CallsTheLayerOnceWithoutGradients) {
  int calls = 0;
  const auto layer = [&](const torch::Tensor& in) {
    ++calls;
    return in + 1;
  };
  const torch::NoGradGuard no_grad;
  EXPECT_FALSE(recomputed(layer, torch::ones({2}).requires_grad_()).requires_grad());
  EXPECT_EQ(calls, 1);
}

}  // namespace recomputed_test
}  // namespace equipoise
