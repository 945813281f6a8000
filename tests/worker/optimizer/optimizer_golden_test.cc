// The steps of torch.optim: tests/golden/README.md.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/worker/golden_model.h"
#include "worker/optimizer/optimizer.h"

namespace equipoise {
namespace optimizer_golden_test {

constexpr int kSteps = 12;

OptimizerConfig config_of(const nlohmann::json& settings) {
  const std::map<std::string, OptimizerType> types = {
      {"adamw", OptimizerType::kAdamW}, {"rmsprop", OptimizerType::kRmsProp}, {"muon", OptimizerType::kMuon}};
  OptimizerConfig config{.type = types.at(settings["type"]), .learning_rate = settings["learning_rate"]};
  config.beta1 = settings.contains("betas") ? settings["betas"][0].get<double>() : config.beta1;
  config.beta2 = settings.contains("betas") ? settings["betas"][1].get<double>() : config.beta2;
  config.epsilon = settings.value("epsilon", config.epsilon);
  config.weight_decay = settings.value("weight_decay", 0.0);
  config.max_grad_norm = 0;
  config.momentum = settings.value("momentum", 0.0);
  config.smoothing = settings.value("smoothing", config.smoothing);
  config.adamw_learning_rate = settings.value("adamw_learning_rate", 0.0);
  if (settings.value("muon_scale", "") == "original") config.muon_scale = MuonScale::kOriginal;
  return config;
}

// Element i of parameter k: cos(0.9 i + k) at the start, gradient sin(1.3 i + 0.7 t + k) (1 + 0.1 i) in step t.
torch::Tensor filled(const std::vector<std::int64_t>& shape, double (*value)(int i, int k, int t), int k, int t) {
  torch::Tensor tensor = torch::zeros(shape, torch::kFloat64);
  double* data = tensor.data_ptr<double>();
  for (int i = 0; i < tensor.numel(); ++i) data[i] = value(i, k, t);
  return tensor;
}
double initial(int i, int k, int /*t*/) { return std::cos(0.9 * i + k); }
double gradient(int i, int k, int t) { return std::sin(1.3 * i + 0.7 * t + k) * (1 + 0.1 * i); }

// The shapes in the order of the file, which is the k of the formulas.
const std::vector<std::pair<std::string, std::vector<std::int64_t>>> kShapes = {{"model.layers.0.wide.weight", {4, 6}},
                                                                                {"model.layers.0.tall.weight", {6, 3}},
                                                                                {"model.layers.0.norm.weight", {6}},
                                                                                {"model.embed_tokens.weight", {5, 4}}};

// Largest distance from the golden values after the first and after the last step.
double largest_error(const std::string& name) {
  const nlohmann::json golden = read_json("golden/optimizer/steps.json")["cases"][name];
  std::vector<NamedTensor> parameters;
  for (int k = 0; k < 4; ++k) {
    const auto& [parameter, shape] = kShapes[static_cast<std::size_t>(k)];
    parameters.push_back({parameter, filled(shape, initial, k, 0).requires_grad_()});
  }
  Optimizer optimizer(config_of(golden["settings"]), parameters);
  double largest = 0;
  for (int t = 0; t < kSteps; ++t) {
    for (int k = 0; k < 4; ++k) {
      torch::Tensor tensor = parameters[static_cast<std::size_t>(k)].tensor;
      tensor.mutable_grad() = filled(kShapes[static_cast<std::size_t>(k)].second, gradient, k, t);
    }
    optimizer.step(t);
    for (const auto& recorded : golden["trajectory"]) {
      if (recorded["steps"] != t + 1) continue;
      for (const NamedTensor& parameter : parameters) {
        const std::vector<double> expected = recorded["parameters"][parameter.name];
        const torch::Tensor flat = torch::tensor(expected, torch::kFloat64);
        largest = std::max(largest, largest_difference(parameter.tensor.flatten(), flat));
      }
    }
  }
  return largest;
}

// Float64 against float64: only the order of single operations differs. Muon amplifies the smallest singular values
// by up to 3.4445^5, 485 times.
TEST(OptimizerGolden, AdamWTakesTorchsSteps) { EXPECT_LT(largest_error("adamw"), 1e-13); }
TEST(OptimizerGolden, RmsPropTakesTorchsSteps) { EXPECT_LT(largest_error("rmsprop"), 1e-13); }
TEST(OptimizerGolden, RmsPropWithMomentumTakesTorchsSteps) { EXPECT_LT(largest_error("rmsprop_momentum"), 1e-13); }
TEST(OptimizerGolden, MuonTakesTorchsStepsWithoutItsBfloat16) {
  EXPECT_LT(largest_error("muon_original"), 1e-11);
  EXPECT_LT(largest_error("muon_match_rms_adamw"), 1e-11);
}

// torch orthogonalises in bfloat16: 12 steps of 0.02 * sqrt(2) whose entries, at most 1, have each been rounded by up
// to 2^-8 in the 3 products of 5 iterations; independent roundings add up by squares.
TEST(OptimizerGolden, MuonIsTorchsMuonButForItsBfloat16) {
  const double error = largest_error("muon_original_bfloat16");
  EXPECT_LT(error, 12 * 0.02 * std::sqrt(2) * std::sqrt(15) * std::exp2(-8));
  EXPECT_GT(error, 1e-6);
}

}  // namespace optimizer_golden_test
}  // namespace equipoise
