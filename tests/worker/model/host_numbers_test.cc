#include "worker/model/host_numbers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/worker/support/operator_counts.h"

namespace equipoise {
namespace host_numbers_test {

using Numbers = std::vector<double>;

TEST(OnHost, GivesTheNumbersOfEachTensorExactlyWhateverItsType) {
  const torch::Tensor doubles_B2 = torch::tensor(Numbers{1e-300, 0.1, 2, 3, 4, 5}, torch::kFloat64).view({3, 2});
  const torch::Tensor floats = torch::tensor(Numbers{0.1, 3e-20}, torch::kFloat64).to(torch::kFloat32);
  const torch::Tensor halves = torch::tensor(Numbers{0.1}, torch::kFloat64).to(torch::kBFloat16);
  const auto [every_second, all, narrow, narrower, none] =
      on_host(std::array{doubles_B2.select(1, 1), doubles_B2, floats, halves, torch::empty({0}, torch::kFloat64)});
  EXPECT_EQ(every_second, (Numbers{0.1, 3, 5}));
  EXPECT_EQ(all, (Numbers{1e-300, 0.1, 2, 3, 4, 5}));
  EXPECT_EQ(narrow, (Numbers{static_cast<double>(0.1f), static_cast<double>(3e-20f)}));
  EXPECT_EQ(narrower, Numbers{0.10009765625});
  EXPECT_EQ(none, Numbers{});
}

TEST(OnHost, GivesNothingOfAnUndefinedTensor) {
  const auto [none, one] = on_host(std::array{torch::Tensor(), torch::ones({1})});
  EXPECT_EQ(none, Numbers{});
  EXPECT_EQ(one, Numbers{1});
  EXPECT_EQ(on_host(std::array{torch::Tensor()})[0], Numbers{});
}

TEST(OnHost, KeepsInfinityAndNaN) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto [values] = on_host(std::array{torch::tensor(Numbers{infinity, std::nan("")}, torch::kFloat64)});
  EXPECT_EQ(values[0], infinity);
  EXPECT_TRUE(std::isnan(values[1]));
}

TEST(OnHost, CopiesOnceAndLeavesTheGraphAlone) {
  const torch::Tensor x_B = torch::ones({4}).requires_grad_();
  const torch::Tensor y_B = 2 * x_B;
  const OperatorCounter counter;
  const auto [x, y] = on_host(std::array{x_B, y_B});
  EXPECT_EQ(counter.counts().floats_to_host, 1);
  EXPECT_EQ(y, (Numbers{2, 2, 2, 2}));
  EXPECT_TRUE(y_B.requires_grad());
}

}  // namespace host_numbers_test
}  // namespace equipoise
