// Masks: their statistics, that they follow the text and nothing else, and what they cost.
#include "worker/model/dropout.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/worker/support/golden_model.h"
#include "tests/worker/support/memory_meter.h"
#include "worker/model/log_prob.h"

namespace equipoise {
namespace dropout_test {

constexpr std::int64_t kRows = 512, kInputs = 512;  // several parts

struct Where {
  DropoutDraw draw = {};
  std::string module = "model.layers.0.self_attn.q_proj";
  std::int32_t text = 7;
};

torch::Tensor row_keys(const Where& where, std::int64_t rows = kRows) {
  RowKeys keys(where.draw);
  keys.add_prompt(std::vector<std::int32_t>(static_cast<std::size_t>(rows), where.text));
  return torch::tensor(keys.values(), torch::kInt64);
}

DropoutMask mask(double share, const Where& where = {}, std::int64_t rows = kRows, std::int64_t inputs = kInputs) {
  return {.share = share,
          .row_key_T = row_keys(where, rows),
          .feature_key_I = feature_keys(where.module, inputs, torch::kCPU)};
}

double total(const torch::Tensor& x) { return x.to(torch::kFloat64).sum().item<double>(); }

// Of a count of N independent events of probability p: p N within five standard deviations, which chance leaves once in
// two million.
void expect_share(const torch::Tensor& events, double p, const std::string& what) {
  const auto count = static_cast<double>(events.numel());
  EXPECT_NEAR(total(events), count * p, 5 * std::sqrt(count * p * (1 - p))) << what;
}

TEST(Dropout, LeavesOutTheShareOfEveryRowAndFeature) {
  for (const double share : {0.0, 0.05, 0.5, 0.9}) {
    const torch::Tensor kept = kept_inputs(mask(share));
    if (share == 0) {
      EXPECT_TRUE(kept.all().item<bool>());
      continue;
    }
    expect_share(kept, 1 - share, "of all");
    // The counts of rows, and of features, spread as those of a binomial: sum of squares over variance is chi-square
    // with mean n and variance 2 n.
    for (const std::int64_t axis : {0, 1}) {
      const torch::Tensor counts = kept.to(torch::kFloat64).sum(axis);
      const double n = static_cast<double>(counts.numel()), each = static_cast<double>(kept.size(axis));
      const double chi_square = total((counts - each * (1 - share)).square()) / (each * share * (1 - share));
      EXPECT_NEAR(chi_square, n, 5 * std::sqrt(2 * n)) << share << " axis " << axis;
    }
  }
}

TEST(Dropout, IsIndependentOverModulesStepsSeedsTextsRowsAndFeatures) {
  const double share = 0.3, both = (1 - share) * (1 - share);
  const torch::Tensor one = kept_inputs(mask(share));
  const std::vector<std::pair<std::string, Where>> others = {{"module", {.module = "model.layers.0.self_attn.k_proj"}},
                                                             {"step", {.draw = {.seed = 0, .step = 1}}},
                                                             {"seed", {.draw = {.seed = 1, .step = 0}}},
                                                             {"text", {.text = 8}}};
  for (const auto& [what, where] : others) expect_share(one & kept_inputs(mask(share, where)), both, what);
  for (const std::int64_t lag : {1, 2, 64}) {
    for (const std::int64_t axis : {0, 1}) {
      const std::int64_t length = one.size(axis) - lag;
      expect_share(one.narrow(axis, 0, length) & one.narrow(axis, lag, length), both, std::to_string(lag));
    }
  }
  // Rows and features are combined by exclusive or: four corners of a rectangle must not know each other.
  const torch::Tensor half = kept_inputs(mask(0.5));
  const auto corner = [&](std::int64_t t, std::int64_t i) {
    return half.narrow(0, t, kRows - 1).narrow(1, i, kInputs - 1);
  };
  expect_share(corner(0, 0) ^ corner(1, 0) ^ corner(0, 1) ^ corner(1, 1), 0.5, "corners");
}

TEST(Dropout, LeavesTheMeanAsItIs) {
  const auto options = torch::TensorOptions(torch::kFloat64);
  for (const double share : {0.1, 0.5}) {
    const torch::Tensor y_TO =
        linear_of_kept(torch::ones({kRows, kInputs}, options), torch::ones({1, kInputs}, options), mask(share));
    // Each y is a sum of I terms of mean 1 and variance share / (1 - share).
    const double deviation = std::sqrt(static_cast<double>(kInputs) * share / (1 - share) / static_cast<double>(kRows));
    EXPECT_NEAR(y_TO.mean().item<double>(), static_cast<double>(kInputs), 5 * deviation);
  }
}

TEST(Dropout, IsTheMaskedProductAndSoAreItsGradients) {
  torch::manual_seed(1);
  const auto options = torch::TensorOptions(torch::kFloat64).requires_grad(true);
  const torch::Tensor x_TI = torch::randn({kRows, kInputs}, options), w_OI = torch::randn({3, kInputs}, options);
  const torch::Tensor direction_TO = torch::randn({kRows, 3}, torch::kFloat64);
  const DropoutMask drawn = mask(0.25);
  const torch::Tensor expected = torch::linear(x_TI * kept_inputs(drawn) / 0.75, w_OI);
  const torch::Tensor y_TO = linear_of_kept(x_TI, w_OI, drawn);
  EXPECT_LT(largest_difference(y_TO, expected), 1e-12);
  const auto wanted = torch::autograd::grad({(expected * direction_TO).sum()}, {x_TI, w_OI});
  const auto found = torch::autograd::grad({(y_TO * direction_TO).sum()}, {x_TI, w_OI});
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_LT(largest_difference(found[i], wanted[i]), 1e-11);
}

TEST(Dropout, HoldsNoMaskNorMaskedInputForTheBackwardPass) {
  const std::int64_t rows = 4096, inputs = 256, bytes = rows * inputs * 4;
  const torch::Tensor x_TI = torch::randn({rows, inputs}).requires_grad_();
  const torch::Tensor w_OI = torch::randn({8, inputs}).requires_grad_();
  const DropoutMask drawn = mask(0.1, {}, rows, inputs);
  const auto meter = std::make_shared<MemoryMeter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
  const torch::Tensor y_TO = linear_of_kept(x_TI, w_OI, drawn);
  EXPECT_LT(meter->held(), bytes / 8);  // y itself is a 32nd
  // One part's numbers of 8 bytes, three at once.
  EXPECT_LT(meter->peak(), bytes);
}

Decoder with_dropout(double share, bool dora = false) {
  const std::string folder = dora ? "golden/lm/models/gemma/dora_init" : lora_init_of("gemma");
  Decoder decoder = golden_decoder(kPolicy, torch::kFloat64);
  LoraAdapter adapter = load_adapter(folder, decoder.config(), torch::kFloat64, torch::kCPU);
  adapter.settings.dropout = share;
  decoder.attach(std::move(adapter));
  return decoder;
}

torch::Tensor log_probs(const Decoder& decoder, const EncodedPairs& pairs, std::span<const std::int64_t> indices,
                        const std::optional<DropoutDraw>& draw) {
  const PairLogProbs values = pair_log_probs(decoder, pack_pairs(pairs, indices, torch::kCPU, draw));
  return torch::stack({values.chosen_B, values.rejected_B}, 1);
}

TEST(Dropout, OfAPairIsTheSameWhateverItIsPackedWith) {
  const torch::NoGradGuard no_grad;
  std::vector<OwnedPair> owned_pairs = owned(golden_pairs());
  owned_pairs.resize(6);
  // One prompt for three pairs, and a pair that is there twice.
  owned_pairs[1].prompt_ids = owned_pairs[2].prompt_ids = owned_pairs[0].prompt_ids;
  owned_pairs[5] = owned_pairs[3];
  const EncodedPairs pairs = encoded(owned_pairs);
  for (const bool dora : {false, true}) {
    const Decoder decoder = with_dropout(0.2, dora);
    const DropoutDraw draw{.seed = 5, .step = 3};
    const torch::Tensor together = log_probs(decoder, pairs, all_of(pairs), draw);
    for (std::int64_t i = 0; i < together.size(0); ++i) {
      const torch::Tensor alone = log_probs(decoder, pairs, std::span(&i, 1), draw);
      EXPECT_LT(largest_difference(alone[0], together[i]), 1e-9) << i;
    }
    const DropoutDraw next{.seed = 5, .step = 4};
    EXPECT_GT(largest_difference(log_probs(decoder, pairs, all_of(pairs), next), together), 1e-3);
  }
}

TEST(Dropout, IsNotThereWithoutADraw) {
  const torch::NoGradGuard no_grad;
  const EncodedPairs pairs = golden_pairs();
  const torch::Tensor wanted = log_probs(with_dropout(0), pairs, all_of(pairs), std::nullopt);
  EXPECT_TRUE(log_probs(with_dropout(0.5), pairs, all_of(pairs), std::nullopt).equal(wanted));
  EXPECT_TRUE(log_probs(with_dropout(0), pairs, all_of(pairs), DropoutDraw{}).equal(wanted));
  EXPECT_FALSE(log_probs(with_dropout(0.5), pairs, all_of(pairs), DropoutDraw{}).equal(wanted));
}

std::vector<torch::Tensor> gradients(Decoder decoder, const EncodedPairs& pairs, const DropoutDraw& draw) {
  log_probs(decoder, pairs, all_of(pairs), draw).sum().backward();
  std::vector<torch::Tensor> result;
  for (const NamedTensor& tensor : decoder.trained()) result.push_back(tensor.tensor.grad());
  return result;
}

TEST(Dropout, GradientsAreThoseOfFiniteDifferencesAndOfRecomputedLayers) {
  const EncodedPairs pairs = golden_pairs();
  const DropoutDraw draw{.seed = 1, .step = 1};
  const Decoder decoder = with_dropout(0.3);
  const auto analytic = gradients(decoder, pairs, draw);
  Decoder recomputing = with_dropout(0.3);
  recomputing.recompute_layers();
  const auto again = gradients(std::move(recomputing), pairs, draw);
  for (std::size_t i = 0; i < analytic.size(); ++i) EXPECT_TRUE(analytic[i].equal(again[i])) << i;

  const torch::NoGradGuard no_grad;
  const auto value = [&] { return log_probs(decoder, pairs, all_of(pairs), draw).sum().item<double>(); };
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{12}, analytic.size() - 1}) {
    const torch::Tensor flat = decoder.trained()[i].tensor.detach().view({-1});
    const std::int64_t largest = analytic[i].abs().argmax().item<std::int64_t>();
    const double step = 1e-5, gradient = analytic[i].view({-1})[largest].item<double>();
    flat[largest] += step;
    const double above = value();
    flat[largest] -= 2 * step;
    const double below = value();
    flat[largest] += step;
    EXPECT_NEAR((above - below) / (2 * step), gradient, 1e-5 * std::abs(gradient)) << decoder.trained()[i].name;
  }
}

}  // namespace dropout_test
}  // namespace equipoise
