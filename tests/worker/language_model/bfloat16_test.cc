// model.dtype bfloat16: narrow parameters and arithmetic around float32 master copies, gradients and sums.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/worker/language_model/small_training.h"

namespace equipoise {
namespace bfloat16_test {

SmallTraining training(torch::Dtype dtype, double learning_rate) {
  return {.optimizer = {.learning_rate = learning_rate, .weight_decay = 0.01}, .dtype = dtype, .steps = 20};
}

// Norm of the difference of two maps of tensors, by the names of the first; `suffix` is added to find the second.
double distance(const std::map<std::string, torch::Tensor>& a, const std::map<std::string, torch::Tensor>& b,
                const std::string& suffix = "") {
  double square = 0;
  for (const auto& [name, tensor] : a) {
    const torch::Tensor difference = tensor.to(torch::kFloat64) - b.at(name + suffix).to(torch::kFloat64);
    square += difference.square().sum().item<double>();
  }
  return std::sqrt(square);
}

TEST(Bfloat16, FollowsFloat32For20Steps) {
  const SmallResult wide = train(training(torch::kFloat32, 1e-3)), narrow = train(training(torch::kBFloat16, 1e-3));
  double largest = 0;
  for (std::size_t t = 0; t < wide.loss.size(); ++t) {
    largest = std::max(largest, std::abs(narrow.loss[t] - wide.loss[t]));
  }
  RecordProperty("largest_difference_of_loss", std::to_string(largest));
  EXPECT_LT(largest, std::exp2(-8));  // the spacing of bfloat16 numbers near these losses; measured: 7e-4
  EXPECT_LT(wide.loss.back(), wide.loss.front() - 0.1) << "there is something to follow";
}

TEST(Bfloat16, KeepsStepsThatAreTooSmallForItsParameters) {
  // 20 steps of 1e-6 move weights of 0.1 by less than half of their bfloat16 spacing of 5e-4.
  const SmallResult start = train(training(torch::kBFloat16, 1e-30));
  const SmallResult wide_start = train(training(torch::kFloat32, 1e-30));
  const SmallResult wide = train(training(torch::kFloat32, 1e-6)), narrow = train(training(torch::kBFloat16, 1e-6));
  const double moved = distance(wide_start.parameters, wide.parameters);
  double master_moved = 0;
  for (const auto& [name, tensor] : narrow.state) {
    if (name.ends_with(".master")) {
      master_moved += (tensor - start.state.at(name)).to(torch::kFloat64).square().sum().item<double>();
    }
  }
  RecordProperty("moved_float32", std::to_string(moved));
  RecordProperty("moved_masters", std::to_string(std::sqrt(master_moved)));
  EXPECT_NEAR(std::sqrt(master_moved), moved, 0.01 * moved);
}

TEST(Bfloat16, SavesTheRoundedMasters) {
  const SmallResult result = train(training(torch::kBFloat16, 1e-3));
  for (const auto& [name, tensor] : result.parameters) {
    EXPECT_EQ(tensor.scalar_type(), torch::kBFloat16);
    EXPECT_TRUE(tensor.equal(result.state.at(name + ".master").to(torch::kBFloat16))) << name;
  }
}

TEST(Bfloat16, AccumulatesMicroBatchesInFloat32) {
  SmallTraining whole = training(torch::kBFloat16, 1e-3);
  SmallTraining split = whole;
  split.micro_batch_pairs = 2;
  const SmallResult expected = train(whole), ours = train(split);
  for (std::size_t t = 0; t < ours.loss.size(); ++t) EXPECT_NEAR(ours.loss[t], expected.loss[t], std::exp2(-8)) << t;
}

}  // namespace bfloat16_test
}  // namespace equipoise
