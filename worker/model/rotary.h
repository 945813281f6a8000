// Rotary position embedding.
// Source: Su et al. 2021 (arXiv:2104.09864); halves instead of neighbours turn together, as in Hugging Face's models.
#pragma once

#include <torch/types.h>

#include "worker/model/decoder_config.h"

namespace equipoise {

struct RotaryAngles {
  torch::Tensor cos_T1F, sin_T1F;  // [T, 1, F], F = dimensions that turn / 2
};

// cos and sin of position times the table's frequencies, times its magnitude. Computed in float64 for float64, else in
// float32, and returned as `dtype`.
RotaryAngles rotary_angles(const torch::Tensor& position_T, const RotaryTable& table, torch::Dtype dtype);

// Turns (x_j, x_{j + F}) by its angle, j in [0, F); dimensions from 2F on stay. x_TND  [T, heads, head_dim].
// Differentiable with respect to x.
torch::Tensor rotate(const torch::Tensor& x_TND, const RotaryAngles& angles);

}  // namespace equipoise
