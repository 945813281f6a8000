// DoRA: the rows of W + s B A, each divided by its norm and multiplied by a magnitude.
// Source: Liu et al. 2024 (arXiv:2402.09353), the norm a constant of the gradient (section 4.3), as PEFT 0.21.
#pragma once

#include <torch/types.h>

namespace equipoise {

// [O]: |W_o|^2 of each row, in float32 for narrower types. No gradient.
torch::Tensor squared_row_norms(const torch::Tensor& weight_OI);

// [O]: |W_o + s (B A)_o| of each row in the type of W, without making W + s B A. No gradient.
//   square_O   squared_row_norms(weight_OI)
torch::Tensor adapted_row_norms(const torch::Tensor& weight_OI, const torch::Tensor& square_O,
                                const torch::Tensor& a_RI, const torch::Tensor& b_OR, double scaling);

}  // namespace equipoise
