// Tensors under the names that a safetensors file has for them, and as its bytes.
#pragma once

#include <torch/types.h>

#include <string>

#include "common/huggingface/safetensors.h"

namespace equipoise {

struct NamedTensor {
  std::string name;
  torch::Tensor tensor;
};

// Throws std::invalid_argument naming the tensor if it does not hold F64, F32, F16 or BF16.
torch::Dtype torch_dtype_of(const TensorView& view);

// A copy of its own, converted. Throws as torch_dtype_of.
torch::Tensor to_torch(const TensorView& view, torch::Dtype dtype, torch::Device device);

// A view of a dense CPU tensor, which must outlive it.
TensorView view_of(const std::string& name, const torch::Tensor& tensor);

}  // namespace equipoise
