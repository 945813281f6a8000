// A frozen weight at four bits a number: NormalFloat in blocks of 64, each with its largest magnitude.
// Source: Dettmers et al. 2023, "QLoRA" (arXiv:2305.14314), section 3 and appendix E; codes as bitsandbytes packs them.
#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>

namespace equipoise {

inline constexpr std::int64_t kNf4Block = 64;

// The 16 numbers, ascending: quantiles of a normal distribution at equal distances, 8 below 0 and 8 above, over the
// largest, and 0. Those that bitsandbytes has, in float32.
extern const std::array<float, 16> kNf4Values;

// [256, 2] float32 on `device`: the numbers of both codes of a byte. One serves all weights of a device.
torch::Tensor nf4_byte_values(torch::Device device);

// [O, I]. Element i, row after row, is kNf4Values[code of i] times the scale of block i / 64.
struct Nf4Weight {
  torch::Tensor code_P;         // [O*I/2, rounded up] uint8, two codes each, the first in the high half
  torch::Tensor scale_G;        // [O*I/64, rounded up] float32
  torch::Tensor byte_value_B2;  // nf4_byte_values of its device
  std::int64_t outputs = 0, inputs = 0;

  bool defined() const { return code_P.defined(); }
  std::size_t bytes() const { return code_P.nbytes() + scale_G.nbytes(); }
};

// Each number becomes the nearest that its block has. The result is on the device of `weight_OI`.
// Throws std::invalid_argument for a number that is not finite.
Nf4Weight quantized_nf4(const torch::Tensor& weight_OI);

// [O, I], computed in float32 and rounded to `dtype`. Nothing is copied between host and device.
torch::Tensor dequantized(const Nf4Weight& weight, torch::Dtype dtype);

// x W^T + b of x [T, I]: [T, O]; without b where it is undefined. Differentiable with respect to x. W is made for the
// product and again for its gradient, and never held in between.
torch::Tensor linear_of_nf4(const torch::Tensor& x_TI, const Nf4Weight& weight, const torch::Tensor& bias_O);

}  // namespace equipoise
