#include "worker/optimizer/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "tests/support/refusal.h"
#include "tests/worker/support/golden_model.h"

namespace equipoise {
namespace optimizer_test {

NamedTensor parameter(const std::string& name, double value, torch::Dtype dtype = torch::kFloat64) {
  return {name, torch::full({3}, value, dtype).requires_grad_()};
}

void set_gradient(const NamedTensor& parameter, double value) {
  torch::Tensor tensor = parameter.tensor;
  tensor.mutable_grad() = torch::full_like(tensor.detach(), value);
}

double value(const NamedTensor& parameter) { return parameter.tensor[0].item<double>(); }

TEST(Optimizer, TakesAdamWsStepsInFloat64) {
  const OptimizerConfig config{.learning_rate = 0.1, .weight_decay = 0.01, .max_grad_norm = 0};
  const std::vector<NamedTensor> parameters = {parameter("w", 2.0)};
  Optimizer optimizer(config, parameters);
  double p = 2, m = 0, v = 0;
  for (int t = 1; t <= 50; ++t) {
    const double g = std::sin(t);
    set_gradient(parameters[0], g);
    optimizer.step(t - 1);
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    p *= 1 - 0.1 * 0.01;
    p -= 0.1 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    ASSERT_NEAR(value(parameters[0]), p, 1e-12) << t;
  }
}

TEST(Optimizer, WarmsUpFromAFirstStepOfZero) {
  const OptimizerConfig config{.type = OptimizerType::kSgd, .learning_rate = 1, .max_grad_norm = 0, .warmup_steps = 4};
  const std::vector<NamedTensor> parameters = {parameter("w", 0)};
  Optimizer optimizer(config, parameters);
  const double expected[] = {0, 0.25, 0.5, 0.75, 1, 1};
  for (std::int64_t step = 0; step < 6; ++step) {
    set_gradient(parameters[0], -1);
    const double before = value(parameters[0]);
    EXPECT_EQ(optimizer.step(step).learning_rate, expected[step]);
    EXPECT_DOUBLE_EQ(value(parameters[0]) - before, expected[step]);
  }
}

TEST(Optimizer, ClipsByTheNormOverAllParameters) {
  const OptimizerConfig config{.type = OptimizerType::kSgd, .learning_rate = 1, .max_grad_norm = 1};
  const std::vector<NamedTensor> parameters = {parameter("a", 0), parameter("b", 0)};
  Optimizer optimizer(config, parameters);
  set_gradient(parameters[0], 3);
  set_gradient(parameters[1], 4);
  const double norm = std::sqrt(3 * 9 + 3 * 16);
  EXPECT_DOUBLE_EQ(optimizer.step(0).grad_norm, norm);
  EXPECT_DOUBLE_EQ(value(parameters[0]), -3 / (norm + 1e-6));
  EXPECT_DOUBLE_EQ(value(parameters[1]), -4 / (norm + 1e-6));
}

TEST(Optimizer, LeavesAShortGradientAsItIs) {
  const OptimizerConfig config{.type = OptimizerType::kSgd, .learning_rate = 1, .max_grad_norm = 1};
  const std::vector<NamedTensor> parameters = {parameter("a", 0)};
  set_gradient(parameters[0], 0.25);
  Optimizer(config, parameters).step(0);
  EXPECT_EQ(value(parameters[0]), -0.25);
}

TEST(Optimizer, DecaysNormsAndBiasesUnlessExcluded) {
  const std::vector<std::string> names = {"model.norm.weight", "q_norm.weight", "q_proj.bias", "q_proj.weight"};
  for (const OptimizerType type : {OptimizerType::kSgd, OptimizerType::kAdamW}) {
    for (const bool decays : {true, false}) {
      const OptimizerConfig config{
          .type = type, .learning_rate = 0.5, .weight_decay = 0.5, .decay_norms = decays, .decay_biases = decays};
      std::vector<NamedTensor> parameters;
      for (const std::string& name : names) parameters.push_back(parameter(name, 1));
      for (const NamedTensor& each : parameters) set_gradient(each, 0);
      Optimizer(config, parameters).step(0);
      for (const NamedTensor& each : parameters) {
        EXPECT_DOUBLE_EQ(value(each), decays || each.name == "q_proj.weight" ? 0.75 : 1) << each.name;
      }
    }
  }
}

TEST(Optimizer, ChangesNothingWhenTheGradientIsNotFinite) {
  const std::vector<NamedTensor> parameters = {parameter("a", 1, torch::kFloat32), parameter("b", 1, torch::kFloat32)};
  Optimizer optimizer({.learning_rate = 0.1, .weight_decay = 0.5}, parameters);
  set_gradient(parameters[0], 1);
  set_gradient(parameters[1], std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(std::isfinite(optimizer.step(0).grad_norm));
  EXPECT_EQ(value(parameters[0]), 1);
  EXPECT_EQ(value(parameters[1]), 1);
  // The moments are clean too: the next step is a first step, of length lr.
  for (const NamedTensor& each : parameters) set_gradient(each, 1);
  optimizer.step(1);
  EXPECT_NEAR(value(parameters[1]), 0.95 - 0.1, 1e-6);
}

// What a checkpoint keeps of an optimiser, and the float32 master copies of bfloat16 parameters.

using testing::HasSubstr;

const std::vector<std::string> kNames = {"model.layers.0.q_proj.weight", "model.layers.0.norm.weight",
                                         "model.embed_tokens.weight"};

std::vector<NamedTensor> small_model(torch::Dtype dtype) {
  std::vector<NamedTensor> parameters;
  for (std::size_t k = 0; k < kNames.size(); ++k) {
    torch::Tensor tensor = torch::arange(12, torch::kFloat64).add(static_cast<double>(k)).sin();
    if (k != 1) tensor = tensor.view({3, 4});
    parameters.push_back({kNames[k], tensor.to(dtype).requires_grad_()});
  }
  return parameters;
}

void set_gradients(const std::vector<NamedTensor>& parameters, double t) {
  for (const NamedTensor& parameter : parameters) {
    torch::Tensor tensor = parameter.tensor;
    const bool is_narrow = tensor.scalar_type() == torch::kBFloat16;
    if (is_narrow) tensor.set_grad_dtype(torch::kFloat32);
    const auto type = is_narrow ? torch::kFloat32 : tensor.scalar_type();
    tensor.mutable_grad() = torch::arange(12, torch::kFloat64).mul(t + 1).cos().view(tensor.sizes()).to(type);
  }
}

OptimizerConfig config_of(OptimizerType type) {
  return {.type = type,
          .learning_rate = 0.01,
          .weight_decay = 0.1,
          .decay_norms = false,
          .schedule = ScheduleType::kPlateau,
          .plateau = {.factor = 0.5, .patience = 2},
          .momentum = 0.9,
          .adamw_learning_rate = 0.001};
}

const std::vector<OptimizerType> kTypes = {OptimizerType::kAdamW, OptimizerType::kSgd, OptimizerType::kRmsProp,
                                           OptimizerType::kMuon};

OptimizerState copy_of(const OptimizerState& state) {
  OptimizerState copy{.tensors = {}, .schedule = state.schedule};
  for (const auto& [name, tensor] : state.tensors) copy.tensors.push_back({name, tensor.clone()});
  return copy;
}

TEST(OptimizerState, ContinuesBitByBit) {
  for (const torch::Dtype dtype : {torch::kFloat32, torch::kFloat64, torch::kBFloat16}) {
    for (const OptimizerType type : kTypes) {
      const auto first = small_model(dtype), second = small_model(dtype);
      Optimizer before(config_of(type), first);
      for (int t = 0; t < 5; ++t) {
        set_gradients(first, t);
        before.step(t);
        before.observe_evaluation(1);
      }
      for (std::size_t i = 0; i < first.size(); ++i) second[i].tensor.data().copy_(first[i].tensor.data());
      Optimizer after(config_of(type), second);
      after.restore(copy_of(before.state()));
      for (int t = 5; t < 10; ++t) {
        set_gradients(first, t);
        set_gradients(second, t);
        EXPECT_EQ(before.step(t).learning_rate, after.step(t).learning_rate);
      }
      for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(first[i].tensor.equal(second[i].tensor)) << i;
    }
  }
}

std::string refusal(Optimizer& optimizer, const OptimizerState& state) {
  return refusal_of([&] { optimizer.restore(state); });
}

TEST(OptimizerState, RefusesWhatIsNotItsOwnAndKeepsWhatItHas) {
  const auto parameters = small_model(torch::kFloat32);
  Optimizer optimizer(config_of(OptimizerType::kAdamW), parameters);
  set_gradients(parameters, 1);
  optimizer.step(0);
  const OptimizerState good = copy_of(optimizer.state());

  OptimizerState missing = copy_of(good);
  missing.tensors.pop_back();
  EXPECT_THAT(refusal(optimizer, missing), HasSubstr("has no tensor " + good.tensors.back().name));
  OptimizerState reshaped = copy_of(good);
  reshaped.tensors.front().tensor = torch::zeros({7});
  EXPECT_THAT(refusal(optimizer, reshaped), HasSubstr(good.tensors.front().name + " of another shape"));
  OptimizerState more = copy_of(good);
  more.tensors.push_back({"x.exp_avg", torch::zeros({1})});
  EXPECT_THAT(refusal(optimizer, more), HasSubstr("expected the 9"));
  for (std::size_t i = 0; i < good.tensors.size(); ++i) {
    EXPECT_TRUE(optimizer.state().tensors[i].tensor.equal(good.tensors[i].tensor));
  }
}

// 1 + 2^-12 is 1 in bfloat16: without a master copy 256 such steps would all be lost.
TEST(MasterWeights, AddUpStepsTooSmallForBfloat16) {
  torch::Tensor one = torch::ones({2}, torch::kBFloat16).requires_grad_();
  const std::vector<NamedTensor> parameters = {{"w", one}};
  Optimizer optimizer({.type = OptimizerType::kSgd, .learning_rate = std::exp2(-12), .max_grad_norm = 0}, parameters);
  one.set_grad_dtype(torch::kFloat32);
  for (int t = 0; t < 256; ++t) {
    one.mutable_grad() = torch::full({2}, -1.0, torch::kFloat32);
    optimizer.step(t);
    if (t == 0) {
      EXPECT_EQ(one[0].item<double>(), 1);
    }
  }
  EXPECT_EQ(one[0].item<double>(), 1 + std::exp2(-4));
}

TEST(MasterWeights, StayOutOfOtherTypes) {
  for (const torch::Dtype dtype : {torch::kFloat32, torch::kFloat64, torch::kBFloat16}) {
    const Optimizer optimizer(config_of(OptimizerType::kAdamW), small_model(dtype));
    std::size_t masters = 0;
    for (const auto& [name, tensor] : optimizer.state().tensors) {
      masters += name.ends_with(".master") ? 1 : 0;
      if (dtype == torch::kBFloat16) {
        EXPECT_EQ(tensor.scalar_type(), torch::kFloat32) << name;
      }
    }
    EXPECT_EQ(masters, dtype == torch::kBFloat16 ? kNames.size() : 0);
  }
}

// The steps of torch.optim: tests/golden/README.md.
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

}  // namespace optimizer_test
}  // namespace equipoise
