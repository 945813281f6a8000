// Muon: momentum, orthogonalised. For the matrices of the layers; AdamW moves everything else.
// Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
// (kellerjordan.github.io/posts/muon); match_rms_adamw: Liu et al. 2025, "Muon is Scalable for LLM Training"
// (arXiv:2502.16982), section 2.2.
//   B <- mu B + (1 - mu) G,  O = NS5((1 - mu) G + mu B),  W <- (1 - lr decay) W - lr s O
//   s = 0.2 sqrt(max(R, C))  match_rms_adamw     sqrt(max(1, R / C))  original         W is [R, C]
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

#include "common/config/optimizer_config.h"

namespace equipoise {

// A matrix of a layer: two dimensions, and a name with ".layers.". Not embeddings, head, norms and biases.
bool is_hidden_matrix(const std::string& name, const torch::Tensor& value);

// Five Newton-Schulz steps X <- a X + (b A + c A^2) X, A = X X^T, (a, b, c) = (3.4445, -4.775, 2.0315), from
// X = M / max(|M|, 1e-7): singular values come near 1 (within about 0.7 to 1.2), their vectors stay.
// Computed in the type of `matrix`: bfloat16, as usual on one GPU, would turn the order in which ranks add gradients up
// into differences of a hundredth of a step.
torch::Tensor orthogonalized(const torch::Tensor& matrix);

double muon_scale(MuonScale scale, std::int64_t rows, std::int64_t columns);

}  // namespace equipoise
