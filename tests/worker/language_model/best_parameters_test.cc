#include "worker/language_model/best_parameters.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace equipoise {
namespace best_parameters_test {

TEST(BestParameters, ComeBackAsTheyWereKept) {
  const std::vector<NamedTensor> parameters = {{"a", torch::ones({3}).requires_grad_()}};
  torch::Tensor tensor = parameters[0].tensor;
  BestParameters best;
  best.put_back(parameters);  // nothing is kept: nothing changes
  EXPECT_EQ(tensor[0].item<double>(), 1);
  best.keep(parameters);
  tensor.data().fill_(2);
  best.put_back(parameters);
  EXPECT_EQ(tensor[0].item<double>(), 1);
  tensor.data().fill_(3);
  best.keep(parameters);
  tensor.data().fill_(4);
  best.put_back(parameters);
  EXPECT_EQ(tensor[0].item<double>(), 3);
}

}  // namespace best_parameters_test
}  // namespace equipoise
