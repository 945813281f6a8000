// Weights at four bits: the numbers there are, what rounding costs, and that products and gradients are those of the
// weight that comes back.
#include "worker/model/nf4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "common/config/job_config.h"
#include "tests/worker/support/golden_model.h"
#include "tests/worker/support/memory_meter.h"
#include "worker/model/log_prob.h"

namespace equipoise {
namespace nf4_test {

// The x with share p of a normal distribution below it, by halving.
double normal_quantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::numbers::sqrt2) / 2 < p ? low : high) = middle;
  }
  return low;
}

// Appendix E of the paper: quantiles at equal distances, from delta to 1/2 in 8 steps and from 1/2 to 1 - delta in 9,
// delta = (1/32 + 1/30) / 2, over the largest. The half is in both.
TEST(Nf4, ValuesAreTheQuantilesOfTheirDefinition) {
  const double delta = (1.0 / 32 + 1.0 / 30) / 2, largest = normal_quantile(1 - delta);
  std::vector<double> expected;
  for (int i = 0; i < 8; ++i) expected.push_back(normal_quantile(delta + i * (0.5 - delta) / 7) / largest);
  for (int i = 1; i < 9; ++i) expected.push_back(normal_quantile(0.5 + i * (0.5 - delta) / 8) / largest);
  // Theirs were computed in float32 and with a rounded delta.
  for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(kNf4Values[i], expected[i], 2e-6) << i;
}

TEST(Nf4, IsWhatBitsandbytesMakesOfAWeight) {
  const nlohmann::json golden = read_json("golden/nf4/expected.json");
  const auto tensor = [&](const char* name) {
    return torch::tensor(golden[name].get<std::vector<double>>(), torch::kFloat64).to(torch::kFloat32);
  };
  const torch::Tensor weight_OI = tensor("weight").view({golden["rows"], golden["columns"]});
  const Nf4Weight nf4 = quantized_nf4(weight_OI);
  EXPECT_TRUE(nf4.code_P.equal(tensor("codes").to(torch::kUInt8)));
  EXPECT_TRUE(nf4.scale_G.equal(tensor("scales")));
  EXPECT_TRUE(dequantized(nf4, torch::kFloat32).equal(tensor("dequantized").view_as(weight_OI)));
}

// Within a block a number is off by half the widest gap (between -1 and -0.696) times the largest magnitude at most.
TEST(Nf4, ComesBackWithinHalfAGapAndTheLargestAsItIs) {
  torch::manual_seed(4);
  double widest = 0;
  for (std::size_t i = 0; i + 1 < 16; ++i) widest = std::max<double>(widest, kNf4Values[i + 1] - kNf4Values[i]);
  for (const auto& [rows, columns] : {std::pair{32, 128}, {5, 13}, {1, 1}, {3, 64}}) {
    const torch::Tensor weight_OI = torch::randn({rows, columns});
    const Nf4Weight nf4 = quantized_nf4(weight_OI);
    const torch::Tensor error = (dequantized(nf4, torch::kFloat32) - weight_OI).abs().view({-1});
    const torch::Tensor scale = nf4.scale_G.repeat_interleave(kNf4Block).narrow(0, 0, error.size(0));
    EXPECT_LE((error / scale).max().item<double>(), widest / 2 * (1 + 1e-6));
    EXPECT_EQ(dequantized(nf4, torch::kFloat32).abs().max().item<double>(), weight_OI.abs().max().item<double>());
    // What has come back once comes back the same.
    EXPECT_TRUE(quantized_nf4(dequantized(nf4, torch::kFloat32)).code_P.equal(nf4.code_P));
  }
  // Root mean square error over standard deviation of normal numbers: about 0.1, whatever their size.
  const torch::Tensor many = 3e-3 * torch::randn({512, 512});
  const double relative =
      ((dequantized(quantized_nf4(many), torch::kFloat32) - many).norm() / many.norm()).item<double>();
  EXPECT_GT(relative, 0.05);
  EXPECT_LT(relative, 0.11);
}

TEST(Nf4, TakesFourAndAHalfBitsANumber) {
  const Nf4Weight nf4 = quantized_nf4(torch::randn({256, 512}));
  EXPECT_EQ(static_cast<double>(nf4.bytes()) * 8 / (256 * 512), 4.5);
}

// A product in float32 that is rounded once, as a pass of its own would round it.
TEST(Nf4, ComesBackInANarrowOrWideTypeAsTheRoundedFloat32) {
  torch::manual_seed(6);
  for (const auto& [rows, columns] : {std::pair{32, 128}, {5, 13}, {1, 1}}) {
    const Nf4Weight nf4 = quantized_nf4(torch::randn({rows, columns}));
    const torch::Tensor code_N = torch::stack({nf4.code_P.div(16, "floor"), nf4.code_P.remainder(16)}, 1).view({-1});
    const torch::Tensor value_N =
        torch::tensor(at::ArrayRef<float>(kNf4Values)).index_select(0, code_N.to(torch::kInt64));
    const torch::Tensor scale_N = nf4.scale_G.repeat_interleave(kNf4Block).narrow(0, 0, value_N.size(0));
    const torch::Tensor wanted = (value_N * scale_N).narrow(0, 0, rows * columns).view({rows, columns});
    for (const torch::Dtype dtype : {torch::kFloat32, torch::kBFloat16, torch::kFloat64}) {
      EXPECT_TRUE(dequantized(nf4, dtype).equal(wanted.to(dtype))) << dtype;
    }
  }
}

TEST(Nf4, KeepsZerosAndRefusesWhatIsNotFinite) {
  EXPECT_TRUE(dequantized(quantized_nf4(torch::zeros({2, 64})), torch::kFloat32).equal(torch::zeros({2, 64})));
  for (const double value : {std::nan(""), HUGE_VAL}) {
    torch::Tensor weight = torch::ones({2, 64});
    weight[1][3] = value;
    EXPECT_THROW(quantized_nf4(weight), std::invalid_argument);
  }
}

TEST(Nf4, ProductAndGradientAreThoseOfTheWeightThatComesBack) {
  torch::manual_seed(5);
  for (const torch::Dtype dtype : {torch::kFloat64, torch::kFloat32, torch::kBFloat16}) {
    const Nf4Weight nf4 = quantized_nf4(torch::randn({24, 40}));
    const torch::Tensor x_TI = torch::randn({7, 40}, dtype).requires_grad_(), b_O = torch::randn({24}, dtype);
    const torch::Tensor direction_TO = torch::randn({7, 24}, dtype);
    for (const torch::Tensor& bias : {b_O, torch::Tensor()}) {
      const torch::Tensor expected = torch::linear(x_TI, dequantized(nf4, dtype), bias);
      const torch::Tensor found = linear_of_nf4(x_TI, nf4, bias);
      EXPECT_TRUE(found.equal(expected));
      const auto wanted = torch::autograd::grad({(expected * direction_TO).sum()}, {x_TI});
      EXPECT_TRUE(torch::autograd::grad({(found * direction_TO).sum()}, {x_TI})[0].equal(wanted[0]));
    }
  }
}

TEST(Nf4, HoldsNoDenseWeightForTheBackwardPass) {
  const Nf4Weight nf4 = quantized_nf4(torch::randn({512, 512}));
  const torch::Tensor x_TI = torch::randn({4, 512}).requires_grad_();
  const auto meter = std::make_shared<MemoryMeter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
  const torch::Tensor y_TO = linear_of_nf4(x_TI, nf4, {});
  EXPECT_GE(meter->peak(), 512 * 512 * 4);  // it was there
  EXPECT_LT(meter->held(), 512 * 512);      // y, and nothing of its size
}

std::size_t bytes_of_projections(const Decoder& decoder) {
  std::size_t bytes = 0;
  for (const NamedTensor& parameter : decoder.parameters()) {
    if (parameter.name.find("_proj.weight") != std::string::npos) bytes += parameter.tensor.nbytes();
  }
  return bytes;
}

Decoder quantized_decoder(const char* adapter = nullptr) {
  Decoder decoder = Decoder::load(kPolicy, torch::kFloat64, torch::kCPU, Quantization::kNf4);
  if (adapter != nullptr) decoder.attach(load_adapter(adapter, decoder.config(), torch::kFloat64, torch::kCPU));
  return decoder;
}

// The golden model with the weights that come back in place of its own.
Decoder rounded_decoder(const char* adapter) {
  Decoder decoder = golden_decoder(kPolicy, torch::kFloat64);
  for (const Linear* linear : decoder.linears()) {
    const torch::NoGradGuard no_grad;
    const torch::Tensor rounded = dequantized(quantized_nf4(linear->weight_OI()), torch::kFloat64);
    torch::Tensor(linear->weight_OI()).copy_(rounded);
  }
  decoder.attach(load_adapter(adapter, decoder.config(), torch::kFloat64, torch::kCPU));
  return decoder;
}

TEST(Nf4, ADecoderComputesWithTheWeightsThatComeBackAndTrainsItsAdapter) {
  const PackedBatch batch = pack_pairs(golden_pairs(), all_of(golden_pairs()), torch::kCPU, DropoutDraw{1, 2});
  for (const char* adapter : {"golden/lm/models/gemma/lora_init", "golden/lm/models/gemma/dora_init"}) {
    const Decoder quantized = quantized_decoder(adapter), rounded = rounded_decoder(adapter);
    const PairLogProbs found = pair_log_probs(quantized, batch), expected = pair_log_probs(rounded, batch);
    EXPECT_LT(largest_difference(found.chosen_B, expected.chosen_B), 1e-9);
    found.chosen_B.sum().backward();
    expected.chosen_B.sum().backward();
    for (std::size_t i = 0; i < quantized.trained().size(); ++i) {
      const torch::Tensor wanted = rounded.trained()[i].tensor.grad();
      EXPECT_LT(largest_difference(quantized.trained()[i].tensor.grad(), wanted),
                1e-9 * wanted.abs().max().item<double>())
          << quantized.trained()[i].name;
    }
    EXPECT_TRUE(pair_log_probs(quantized.frozen_copy(), batch).chosen_B.equal(found.chosen_B.detach()));
  }
}

TEST(Nf4, ADecoderKeepsEmbeddingHeadAndNormsAndAnEighthOfItsProjections) {
  const Decoder quantized = quantized_decoder(), whole = golden_decoder(kPolicy);
  EXPECT_EQ(static_cast<double>(bytes_of_projections(whole)) * 4.5 / 32,
            static_cast<double>(bytes_of_projections(quantized)));
  std::size_t kept = 0;
  for (const NamedTensor& parameter : quantized.parameters()) {
    EXPECT_FALSE(parameter.tensor.requires_grad()) << parameter.name;
    for (const NamedTensor& of_whole : whole.parameters()) {
      if (of_whole.name != parameter.name) continue;
      EXPECT_EQ(largest_difference(of_whole.tensor, parameter.tensor), 0) << parameter.name;
      ++kept;
    }
  }
  EXPECT_EQ(kept, whole.parameters().size() - 14);
}

}  // namespace nf4_test
}  // namespace equipoise
