#include <array>

#include "common/config/job_config.h"
#include "tests/gpu/check.h"
#include "tests/worker/support/family_configs.h"
#include "tests/worker/support/owned_pair.h"
#include "tests/worker/support/random_model.h"
#include "worker/model/decoder.h"
#include "worker/model/dropout.h"
#include "worker/model/log_prob.h"
#include "worker/model/nf4.h"

namespace equipoise::gpu_check {
namespace {

// Lengths of several classes; the last three share a prompt.
EncodedPairs random_pairs() {
  torch::manual_seed(3);
  std::vector<OwnedPair> pairs;
  for (const auto& [prompt, chosen, rejected] :
       std::vector<std::array<std::int64_t, 3>>{{14, 9, 3}, {3, 1, 12}, {40, 20, 33}, {7, 5, 8}}) {
    pairs.push_back(
        {.prompt_ids = random_ids(prompt), .chosen_ids = random_ids(chosen), .rejected_ids = random_ids(rejected)});
  }
  for (int i = 0; i < 2; ++i) {
    pairs.push_back({.prompt_ids = pairs[2].prompt_ids, .chosen_ids = random_ids(4), .rejected_ids = random_ids(17)});
  }
  return encoded(pairs);
}

struct Step {
  torch::Tensor log_prob_2B, gradient_P;
};

// Log-probs of DPO without a reference and the gradient of its loss, of all parameters one after the other.
Step step_of(const TempFolder& folder, const EncodedPairs& pairs, torch::Dtype dtype, torch::Device device) {
  const Decoder decoder = Decoder::load(folder.path(), dtype, device);
  std::vector<std::int64_t> all;
  for (std::size_t i = 0; i < pairs.size(); ++i) all.push_back(static_cast<std::int64_t>(i));
  const PairLogProbs log_probs = pair_log_probs(decoder, pack_pairs(pairs, all, device));
  (-torch::log_sigmoid(0.1 * (log_probs.chosen_B - log_probs.rejected_B)).mean()).backward();
  std::vector<torch::Tensor> gradients;
  for (const NamedTensor& parameter : decoder.parameters()) {
    gradients.push_back(parameter.tensor.grad().to(torch::kCPU, torch::kFloat64).flatten());
  }
  return {.log_prob_2B = torch::cat({log_probs.chosen_B, log_probs.rejected_B}), .gradient_P = torch::cat(gradients)};
}

struct Tolerance {
  torch::Dtype dtype;
  double log_prob, gradient;  // of the largest log-prob, and of the gradient's norm
};
constexpr Tolerance kTolerances[] = {{torch::kFloat32, 1e-4, 1e-4}, {torch::kBFloat16, 2e-2, 2e-1}};

}  // namespace

Finding check_families(const CheckDevice& device) {
  Finding finding;
  finding.numbers = nlohmann::json::array();
  const EncodedPairs pairs = random_pairs();
  double worst[2] = {0, 0};
  for (const FamilyConfig& family : family_configs()) {
    const TempFolder folder;
    write_random_model(folder, family.config);
    const Step wanted = step_of(folder, pairs, torch::kFloat64, torch::kCPU);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& [dtype, log_prob, gradient] = kTolerances[i];
      const Step ours = step_of(folder, pairs, dtype, device.device());
      const double off = relative_difference(ours.log_prob_2B, wanted.log_prob_2B);
      const double gradient_off =
          ((ours.gradient_P - wanted.gradient_P).norm() / wanted.gradient_P.norm()).item<double>();
      const std::string name = family.name + " in " + c10::toString(dtype);
      finding.numbers.push_back({{"model", name}, {"log_prob_difference", off}, {"gradient_difference", gradient_off}});
      finding.expect(off < log_prob, name + ": log-probs differ from float64 on the CPU by " + short_number(off));
      finding.expect(gradient_off < gradient, name + ": the gradient differs by " + short_number(gradient_off));
      worst[i] = std::max(worst[i], off);
    }
  }
  finding.summary = "float32 off by " + short_number(worst[0]) + ", bfloat16 by " + short_number(worst[1]);
  return finding;
}

Finding check_masks_and_codes(const CheckDevice& device) {
  Finding finding;
  torch::manual_seed(4);
  const torch::Device cpu = torch::kCPU;
  const torch::Tensor row_key_T = torch::randint(std::int64_t{1} << 62, {500}, torch::kInt64);
  const auto kept_on = [&](torch::Device place) {
    return kept_inputs({.share = 0.1,
                        .row_key_T = row_key_T.to(place),
                        .feature_key_I = feature_keys("model.layers.0.mlp.down_proj", 300, place)})
        .to(cpu);
  };
  finding.expect(kept_on(device.device()).equal(kept_on(cpu)), "dropout masks are not those of the CPU");
  const torch::Tensor weight_OI = torch::randn({96, 200});
  const Nf4Weight wanted = quantized_nf4(weight_OI), ours = quantized_nf4(weight_OI.to(device.device()));
  finding.expect(ours.code_P.to(cpu).equal(wanted.code_P), "codes of four bits are not those of the CPU");
  finding.expect(ours.scale_G.to(cpu).equal(wanted.scale_G), "scales of four bits are not those of the CPU");
  for (const torch::Dtype dtype : {torch::kFloat32, torch::kBFloat16}) {
    finding.expect(dequantized(ours, dtype).to(cpu).equal(dequantized(wanted, dtype)),
                   std::string("weights that come back in ") + c10::toString(dtype) + " are not those of the CPU");
  }
  finding.summary = "equal";
  return finding;
}

}  // namespace equipoise::gpu_check
