// Root-mean-square norm. Source: Zhang, Sennrich 2019 (arXiv:1910.07467).
#pragma once

#include <torch/types.h>

#include "worker/model/decoder_config.h"

namespace equipoise {

// x / rms(x) over the last dimension, scaled as config.norm_scale says. Computed in float32 for narrower types.
//   x  [..., W]   weight_W  [W]
torch::Tensor rms_norm(const DecoderConfig& config, const torch::Tensor& x, const torch::Tensor& weight_W);

}  // namespace equipoise
