#include "worker/language_model/gradient_buckets.h"

#include <gtest/gtest.h>

#include "worker/collective/cpu_collective.h"

namespace equipoise {
namespace gradient_buckets_test {

std::vector<NamedTensor> three_parameters() {
  std::vector<NamedTensor> parameters;
  for (const char* name : {"first", "second", "third"}) {
    parameters.push_back({name, torch::full({4}, 2.0, torch::kFloat64).requires_grad_()});
  }
  return parameters;
}

// d/dp of factor * (p1 . p1 + p2 . p2 + p3 . p3) = 2 * factor * p = 4 * factor.
void backward(const std::vector<NamedTensor>& parameters, double factor) {
  torch::Tensor sum = torch::zeros({}, torch::kFloat64);
  for (const NamedTensor& parameter : parameters) sum = sum + parameter.tensor.square().sum();
  (factor * sum).backward();
}

TEST(GradientBuckets, FillsBucketsFromTheLastParameterBackwards) {
  run_ranks(1, [](Collective& collective) {
    const auto parameters = three_parameters();
    EXPECT_EQ(GradientBuckets(parameters, collective, 1).num_buckets(), 3u);
    EXPECT_EQ(GradientBuckets(parameters, collective, 2 * 4 * sizeof(double)).num_buckets(), 2u);
    EXPECT_EQ(GradientBuckets(parameters, collective, 1 << 20).num_buckets(), 1u);
  });
}

TEST(GradientBuckets, SumsTheLastBackwardPassAndThoseBeforeIt) {
  for (const int world_size : {1, 2, 4, 7}) {
    run_ranks(world_size, [&](Collective& collective) {
      const auto parameters = three_parameters();
      GradientBuckets gradients(parameters, collective, 40);
      const double mine = collective.info().rank + 1;
      for (int step = 0; step < 2; ++step) {
        gradients.zero();
        backward(parameters, mine);
        gradients.sum_during_backward();
        backward(parameters, 10 * mine);
        gradients.finish();
        const double expected = 4 * 11 * world_size * (world_size + 1) / 2.0;
        for (const NamedTensor& parameter : parameters) {
          EXPECT_TRUE(parameter.tensor.grad().eq(expected).all().item<bool>()) << parameter.name;
        }
      }
    });
  }
}

TEST(GradientBuckets, SumsWhenOneRankHasNoPairs) {
  run_ranks(3, [](Collective& collective) {
    const auto parameters = three_parameters();
    GradientBuckets gradients(parameters, collective, 40);
    gradients.zero();
    if (collective.info().rank != 1) {
      gradients.sum_during_backward();
      backward(parameters, 1);
    }
    gradients.finish();
    EXPECT_EQ(parameters.front().tensor.grad()[0].item<double>(), 8);
  });
}

}  // namespace gradient_buckets_test
}  // namespace equipoise
