// Dropout whose masks are a function of what is dropped, and are made again where they are needed again.
// Source: Srivastava et al. 2014 (JMLR 15); counter-based numbers: Salmon et al. 2011, "Parallel random numbers".
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string_view>

namespace equipoise {

// Of the inputs of one projection: [T, I].
struct DropoutMask {
  double share = 0;             // of the inputs that are left out, in [0, 1)
  torch::Tensor row_key_T;      // [T] int64, RowKeys: seed, step and text
  torch::Tensor feature_key_I;  // [I] int64, feature_keys()
};

// Keys of the inputs of a projection, by its name.
torch::Tensor feature_keys(std::string_view projection, std::int64_t inputs, torch::Device device);

// [T, I] bool: true where an input is kept, a share 1 - mask.share of them.
torch::Tensor kept_inputs(const DropoutMask& mask);

// [T, I]: x o kept / (1 - share). Differentiable; nothing but the keys is held for the backward pass.
torch::Tensor dropped(const torch::Tensor& x_TI, const DropoutMask& mask);

// [T, O]: (x o kept / (1 - share)) W^T of x [T, I] and W [O, I]. Differentiable with respect to both; the mask and the
// inputs that it leaves are not held for the backward pass, and never more than a part of either is there.
torch::Tensor linear_of_kept(const torch::Tensor& x_TI, const torch::Tensor& weight_OI, const DropoutMask& mask);

}  // namespace equipoise
