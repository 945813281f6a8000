// DoRA: what PEFT computes, and that nothing of it is lost between files, merging and training.
#include "worker/model/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"
#include "tests/worker/support/golden_model.h"
#include "worker/model/adapter_config.h"
#include "worker/model/dropout.h"
#include "worker/model/log_prob.h"
#include "worker/model/merged_model.h"

namespace equipoise {
namespace linear_test {

constexpr char kInit[] = "golden/lm/models/gemma/dora_init";

Decoder with_adapter(const std::filesystem::path& folder, torch::Dtype dtype = torch::kFloat64) {
  Decoder decoder = golden_decoder(kPolicy, dtype);
  decoder.attach(load_adapter(folder, decoder.config(), dtype, torch::kCPU));
  return decoder;
}

Decoder with_new_adapter(torch::Dtype dtype) {
  Decoder decoder = golden_decoder(kPolicy, dtype);
  decoder.attach(new_adapter(decoder.config(), {.r = 4, .dora = true}, 1, dtype, torch::kCPU));
  return decoder;
}

torch::Tensor logits(const Decoder& decoder) {
  const torch::NoGradGuard no_grad;
  return decoder.logits(decoder.hidden_states(pack_all(golden_pairs())));
}

TEST(Dora, ANewAdapterIsTheModelItselfAndMagnitudesLearnToo) {
  for (const torch::Dtype dtype : {torch::kFloat64, torch::kFloat32, torch::kBFloat16}) {
    const Decoder adapted = with_new_adapter(dtype);
    EXPECT_TRUE(logits(adapted).equal(logits(golden_decoder(kPolicy, dtype)))) << dtype;
    ASSERT_EQ(adapted.trained().size(), 3u * 14u);
    pair_log_probs(adapted, pack_all(golden_pairs())).chosen_B.sum().backward();
    for (const NamedTensor& tensor : adapted.trained()) {
      const bool is_a = tensor.name.ends_with("lora_A.weight");  // dA = B^T (...), and B is 0
      EXPECT_EQ(tensor.tensor.grad().abs().max().item<double>() > 0, !is_a) << tensor.name;
    }
  }
}

TEST(Dora, NormsAreThoseOfTheSumThatIsNotMade) {
  torch::manual_seed(2);
  for (const auto& [dtype, tolerance] : {std::pair{torch::kFloat64, 1e-12}, {torch::kFloat32, 1e-5}}) {
    const torch::Tensor w_OI = torch::randn({40, 24}, dtype), a_RI = torch::randn({3, 24}, dtype);
    const torch::Tensor b_OR = torch::randn({40, 3}, dtype);
    const torch::Tensor expected = (w_OI + 1.5 * torch::mm(b_OR, a_RI)).norm(2, 1);
    const torch::Tensor found = adapted_row_norms(w_OI, squared_row_norms(w_OI), a_RI, b_OR, 1.5);
    EXPECT_LT(((found - expected) / expected).abs().max().item<double>(), tolerance);
  }
}

// y of one projection by PEFT's formula, the norm a constant.
struct Projection {
  torch::Tensor w_OI = torch::randn({10, 6}, torch::kFloat64), b_O = torch::randn({10}, torch::kFloat64);
  torch::Tensor a_RI = torch::randn({2, 6}, torch::kFloat64).requires_grad_();
  torch::Tensor b_OR = torch::randn({10, 2}, torch::kFloat64).requires_grad_();
  torch::Tensor m_O = torch::rand({10}, torch::kFloat64).requires_grad_();
  double scaling = 0.5;

  Linear linear(double dropout = 0) const {
    Linear result("p", w_OI, b_O);
    result.adapt({.a_RI = a_RI, .b_OR = b_OR, .magnitude_O = m_O, .scaling = scaling, .dropout = dropout});
    return result;
  }
  torch::Tensor peft(const torch::Tensor& x_TI, const torch::Tensor& kept_TI) const {
    const torch::Tensor norm_O = (w_OI + scaling * torch::mm(b_OR, a_RI)).detach().norm(2, 1);
    const torch::Tensor factor_O = m_O / norm_O;
    const torch::Tensor low_TO = torch::linear(torch::linear(kept_TI, a_RI), b_OR);
    return torch::linear(x_TI, w_OI, b_O) + (factor_O - 1) * torch::linear(kept_TI, w_OI) + factor_O * low_TO * scaling;
  }
};

TEST(Dora, ProjectsAsPeftWithBiasAndDropout) {
  torch::manual_seed(3);
  const Projection projection;
  const torch::Tensor x_TI = torch::randn({5, 6}, torch::kFloat64).requires_grad_();
  const torch::Tensor row_key_T = torch::randint(1 << 30, {5}, torch::kInt64);
  const torch::Tensor direction_TO = torch::randn({5, 10}, torch::kFloat64);
  const std::vector<torch::Tensor> inputs = {x_TI, projection.a_RI, projection.b_OR, projection.m_O};
  for (const double dropout : {0.0, 0.4}) {
    torch::Tensor kept_TI = x_TI;
    if (dropout > 0) {
      const DropoutMask mask{
          .share = dropout, .row_key_T = row_key_T, .feature_key_I = feature_keys("p", 6, torch::kCPU)};
      kept_TI = x_TI * kept_inputs(mask) / (1 - dropout);
    }
    const torch::Tensor expected = projection.peft(x_TI, kept_TI);
    const torch::Tensor found = projection.linear(dropout)(x_TI, row_key_T);
    EXPECT_LT(largest_difference(found, expected), 1e-12) << dropout;
    const auto wanted = torch::autograd::grad({(expected * direction_TO).sum()}, inputs);
    const auto gradients = torch::autograd::grad({(found * direction_TO).sum()}, inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_LT(largest_difference(gradients[i], wanted[i]), 1e-12) << dropout << " input " << i;
    }
  }
}

TEST(Dora, GradientsOfTheMeanLossAreThoseOfPeft) {
  const Decoder policy = with_adapter(kInit, torch::kFloat32), reference = golden_decoder(kPolicy);
  const PackedBatch batch = pack_all(golden_pairs());
  const PairLogProbs ours = pair_log_probs(policy, batch), fixed = pair_log_probs(reference.frozen_copy(), batch);
  const torch::Tensor h_B = (ours.chosen_B - ours.rejected_B) - (fixed.chosen_B - fixed.rejected_B);
  (-torch::log_sigmoid(0.1 * h_B)).mean().backward();
  const SafetensorsFile expected = SafetensorsFile::open(golden_file("dora_gradients.safetensors"));
  ASSERT_EQ(expected.tensors().size(), policy.trained().size());
  for (const NamedTensor& tensor : policy.trained()) {
    const torch::Tensor wanted = golden_tensor(expected, tensor.name);
    EXPECT_LT(largest_difference(tensor.tensor.grad(), wanted), 1e-4 * wanted.abs().max().item<double>())
        << tensor.name;
  }
}

TEST(Dora, IsWrittenAsItIsReadAndCopiedFrozen) {
  const TempFolder folder;
  const Decoder decoder = with_adapter(kInit, torch::kFloat32);
  save_adapter(*decoder.adapter(), kPolicy, folder / "adapter");
  EXPECT_EQ(read_json(folder / "adapter/adapter_config.json")["use_dora"], true);
  const Decoder again = with_adapter(folder / "adapter", torch::kFloat32);
  EXPECT_EQ(parameter_digest(again.trained()), parameter_digest(decoder.trained()));
  const Decoder copy = decoder.frozen_copy();
  const torch::Tensor before = logits(decoder);
  for (const NamedTensor& tensor : decoder.trained()) tensor.tensor.detach().mul_(1.1);
  EXPECT_TRUE(logits(copy).equal(before));
  EXPECT_GT(largest_difference(logits(decoder), before), 1e-3);
}

TEST(Dora, NeedsItsMagnitudesAndPlainLoraHasNone) {
  const TempFolder folder;
  const auto refusal = [&] {
    try {
      with_adapter(folder.path());
    } catch (const std::invalid_argument& problem) {
      return std::string(problem.what());
    }
    return std::string("accepted");
  };
  const auto overwrite = std::filesystem::copy_options::overwrite_existing;
  for (const char* file : {kAdapterConfig, kAdapterWeights}) {
    std::filesystem::copy(std::filesystem::path(kInit) / file, folder / file, overwrite);
  }
  nlohmann::json config = read_json(folder / kAdapterConfig);
  config["use_dora"] = false;
  std::ofstream(folder / kAdapterConfig) << config;
  EXPECT_THAT(refusal(), testing::HasSubstr("lora_magnitude_vector\" has no place in the adapter"));
  config["use_dora"] = true;
  std::ofstream(folder / kAdapterConfig) << config;
  std::filesystem::copy(lora_init_of("gemma") + "/adapter_model.safetensors", folder / kAdapterWeights, overwrite);
  EXPECT_THAT(refusal(), testing::HasSubstr("q_proj.lora_magnitude_vector is missing"));
}

TEST(Dora, MergesToTheRowsAtTheirMagnitudes) {
  const TempFolder folder;
  const MergeReport report = merge_adapter(kPolicy, kInit, folder / "merged");
  EXPECT_LE(report.largest_difference, report.allowed_difference);
  const torch::Tensor wanted = logits(with_adapter(kInit, torch::kFloat32));
  const Decoder merged = golden_decoder(folder / "merged");
  EXPECT_LT(largest_difference(logits(merged), wanted), 1e-4 * wanted.abs().max().item<double>());
  const LoraAdapter adapter = load_adapter(kInit, merged.config(), torch::kFloat32, torch::kCPU);
  for (const NamedTensor& weight : merged.parameters()) {
    if (weight.name != adapter.adapted[0].name + ".weight") continue;
    EXPECT_LT(largest_difference(weight.tensor.norm(2, 1), adapter.of(0).magnitude_O.abs()), 1e-5);
  }
}

}  // namespace linear_test
}  // namespace equipoise
