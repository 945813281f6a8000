#include "worker/model/gathered_rows.h"

#include <gtest/gtest.h>

namespace equipoise {
namespace gathered_rows_test {

// Rows 1 to 3 of 5, row 3 three times; a place that nobody looks at holds row 4.
RowUses some_uses() {
  RowUsesBuilder builder;
  builder.use(1, 3);
  builder.use(3);
  builder.pad(4, 1);
  builder.use(2, 2);
  return builder.build(5);
}

torch::Tensor gradient_of(const torch::Tensor& x, const torch::Tensor& y, const torch::Tensor& upstream) {
  return torch::autograd::grad({y}, {x}, {upstream}).front();
}

TEST(GatheredRows, AreTheRowsTheirUsesName) {
  const torch::Tensor x = torch::randn({5, 2, 3}, torch::kFloat64);
  const torch::Tensor y = gathered_rows(x, some_uses());
  EXPECT_TRUE(y.equal(x.flatten(1).index_select(0, torch::tensor({1, 2, 3, 3, 4, 2, 3}))));
}

TEST(GatheredRows, HaveTheGradientOfASelectionButForPadding) {
  const torch::Tensor x = torch::randn({5, 2, 3}, torch::kFloat64).requires_grad_();
  const torch::Tensor upstream = torch::randn({7, 6}, torch::kFloat64);
  const torch::Tensor places = torch::tensor({0, 1, 2, 3, 5, 6}), rows = torch::tensor({1, 2, 3, 3, 2, 3});
  const torch::Tensor expected = gradient_of(x, x.flatten(1).index_select(0, rows), upstream.index_select(0, places));
  EXPECT_TRUE(gradient_of(x, gathered_rows(x, some_uses()), upstream).allclose(expected, 1e-14, 1e-14));
}

// 256 + 1 is 256 in bfloat16, so one after the other they would stay there.
TEST(GatheredRows, AddUpNarrowGradientsInFloat32) {
  RowUsesBuilder builder;
  builder.use(0, 2);
  for (int i = 0; i < 8; ++i) builder.use(1);
  const torch::Tensor x = torch::zeros({2, 1}, torch::kBFloat16).requires_grad_();
  torch::Tensor upstream = torch::ones({10, 1}, torch::kBFloat16);
  upstream[1] = 256;
  const torch::Tensor gradient = gradient_of(x, gathered_rows(x, builder.build(2)), upstream);
  EXPECT_EQ(gradient.scalar_type(), torch::kBFloat16);
  EXPECT_EQ(gradient[1].item<float>(), 264);
}

TEST(GatheredRows, AreTheTensorItselfWhereEveryRowIsInItsPlace) {
  RowUsesBuilder builder;
  builder.use(0, 5);
  const torch::Tensor x = torch::randn({5, 3});
  EXPECT_EQ(gathered_rows(x, builder.build(5)).data_ptr(), x.data_ptr());
}

}  // namespace gathered_rows_test
}  // namespace equipoise
