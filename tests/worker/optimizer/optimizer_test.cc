#include "worker/optimizer/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

}  // namespace optimizer_test
}  // namespace equipoise
