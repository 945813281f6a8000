// Rotary position embedding.
// Source: Su et al. 2021 (arXiv:2104.09864); halves instead of neighbours turn together, as in Hugging Face's models.
#pragma once

#include <torch/types.h>

namespace equipoise {

struct RotaryAngles {
  torch::Tensor cos_T1D, sin_T1D;  // [T, 1, head_dim / 2]
};

// cos and sin of position / theta^(2j / head_dim), j in [0, head_dim / 2). In float64 for float64, else in float32.
RotaryAngles rotary_angles(const torch::Tensor& position_T, double theta, std::int64_t head_dim, torch::Dtype dtype);

// Turns (x_j, x_{j + head_dim/2}) by its angle. x_TND  [T, heads, head_dim]. Differentiable with respect to x.
torch::Tensor rotate(const torch::Tensor& x_TND, const RotaryAngles& angles);

}  // namespace equipoise
