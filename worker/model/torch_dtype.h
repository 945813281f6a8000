// A job's dtype as LibTorch calls it.
#pragma once

#include <torch/types.h>

#include "common/config/job_config.h"

namespace equipoise {

inline torch::Dtype torch_dtype(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return torch::kFloat64;
    case DType::kBFloat16:
      return torch::kBFloat16;
    case DType::kFloat32:
      break;
  }
  return torch::kFloat32;
}

}  // namespace equipoise
