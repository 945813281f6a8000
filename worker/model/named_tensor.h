// A tensor under the name that a safetensors file has for it.
#pragma once

#include <torch/types.h>

#include <string>

namespace equipoise {

struct NamedTensor {
  std::string name;
  torch::Tensor tensor;
};

}  // namespace equipoise
