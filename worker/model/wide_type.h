// The type in which norms, softmax, rotary angles and log-sum-exp are computed.
#pragma once

#include <torch/types.h>

namespace equipoise {

// float32 for bfloat16 and float16, whose 8 and 11 bits are too few for sums; else the type itself.
inline torch::Dtype wide_type(torch::Dtype dtype) {
  return dtype == torch::kBFloat16 || dtype == torch::kFloat16 ? torch::kFloat32 : dtype;
}

}  // namespace equipoise
