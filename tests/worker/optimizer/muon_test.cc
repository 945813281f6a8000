#include "worker/optimizer/muon.h"

#include <gtest/gtest.h>

#include <cmath>

#include "worker/optimizer/optimizer.h"

namespace equipoise {
namespace muon_test {

torch::Tensor random_matrix(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  torch::Generator generator = at::detail::createCPUGenerator(seed);
  return torch::randn({rows, columns}, generator, torch::kFloat64);
}

TEST(Muon, BringsSingularValuesNearOneAndKeepsTheirVectors) {
  for (const auto& [rows, columns] : {std::pair{8, 8}, {5, 12}, {12, 5}}) {
    const torch::Tensor matrix = random_matrix(rows, columns, 1);
    const auto [u, s, v] = torch::linalg_svd(matrix, /*full_matrices=*/false);
    const torch::Tensor inside = u.t().mm(orthogonalized(matrix)).mm(v.t());
    const torch::Tensor diagonal = inside.diagonal();
    EXPECT_LT((inside - diagonal.diag()).abs().max().item<double>(), 1e-10);
    // Singular values that are at least a hundredth of the norm, as here, end within the quintic's band.
    EXPECT_GT(diagonal.min().item<double>(), 0.65);
    EXPECT_LT(diagonal.max().item<double>(), 1.25);
  }
}

TEST(Muon, DoesNotDependOnTheLengthOfTheGradient) {
  const torch::Tensor matrix = random_matrix(6, 4, 2);
  EXPECT_LT((orthogonalized(matrix) - orthogonalized(1e4 * matrix)).abs().max().item<double>(), 1e-12);
  EXPECT_LT((orthogonalized(matrix.t()) - orthogonalized(matrix).t()).abs().max().item<double>(), 1e-12);
}

TEST(Muon, LeavesAGradientOfZeroAtZero) {
  EXPECT_EQ(orthogonalized(torch::zeros({3, 5})).abs().max().item<double>(), 0);
}

TEST(Muon, ScalesByTheShape) {
  EXPECT_DOUBLE_EQ(muon_scale(MuonScale::kOriginal, 8, 2), 2);
  EXPECT_DOUBLE_EQ(muon_scale(MuonScale::kOriginal, 2, 8), 1);
  EXPECT_DOUBLE_EQ(muon_scale(MuonScale::kMatchRmsAdamW, 2, 9), 0.6);
  EXPECT_DOUBLE_EQ(muon_scale(MuonScale::kMatchRmsAdamW, 9, 2), 0.6);
}

TEST(Muon, TakesTheMatricesOfLayersOnly) {
  const torch::Tensor matrix = torch::zeros({2, 2}), vector = torch::zeros({2});
  EXPECT_TRUE(is_hidden_matrix("model.layers.0.self_attn.q_proj.weight", matrix));
  EXPECT_FALSE(is_hidden_matrix("model.layers.0.self_attn.q_proj.bias", vector));
  EXPECT_FALSE(is_hidden_matrix("model.layers.0.input_layernorm.weight", vector));
  EXPECT_FALSE(is_hidden_matrix("model.embed_tokens.weight", matrix));
  EXPECT_FALSE(is_hidden_matrix("lm_head.weight", matrix));
  EXPECT_FALSE(is_hidden_matrix("model.norm.weight", vector));
}

}  // namespace muon_test
}  // namespace equipoise
