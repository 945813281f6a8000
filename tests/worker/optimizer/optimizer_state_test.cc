// What a checkpoint keeps of an optimiser, and the float32 master copies of bfloat16 parameters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/refusal.h"
#include "worker/optimizer/optimizer.h"

namespace equipoise {
namespace optimizer_state_test {

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

}  // namespace optimizer_state_test
}  // namespace equipoise
