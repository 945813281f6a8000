// One linear projection of a decoder, known by the name of its Hugging Face module.
#pragma once

#include <torch/types.h>

#include <optional>
#include <string>
#include <vector>

#include "worker/model/dropout.h"
#include "worker/model/nf4.h"

namespace equipoise {

// DoRA: the rows of W + s B A, each divided by its norm and multiplied by a magnitude.
// Source: Liu et al. 2024 (arXiv:2402.09353), the norm a constant of the gradient (section 4.3), as PEFT 0.21.

// [O]: |W_o|^2 of each row, in float32 for narrower types. No gradient.
torch::Tensor squared_row_norms(const torch::Tensor& weight_OI);

// [O]: |W_o + s (B A)_o| of each row in the type of W, without making W + s B A. No gradient.
//   square_O   squared_row_norms(weight_OI)
torch::Tensor adapted_row_norms(const torch::Tensor& weight_OI, const torch::Tensor& square_O,
                                const torch::Tensor& a_RI, const torch::Tensor& b_OR, double scaling);

// What an adapter adds to one projection.
struct LinearAdapter {
  torch::Tensor a_RI, b_OR;
  torch::Tensor magnitude_O;  // DoRA; else undefined
  double scaling = 1;
  double dropout = 0;  // in [0, 1)
};

// y = x W^T + b. With an adapter and y' = x W^T + scaling (x A^T) B^T:
//   LoRA  y = y' + b
//   DoRA  y = m / |W + scaling B A| y' + b, the norm of each row being a constant of the gradient
class Linear {
 public:
  // Without a bias where `bias_O` is undefined.
  Linear(std::string name, torch::Tensor weight_OI, torch::Tensor bias_O);

  // W at four bits a number: it is not trained.
  Linear(std::string name, Nf4Weight weight, torch::Tensor bias_O);

  const std::string& name() const { return name_; }              // "model.layers.0.self_attn.q_proj"
  const torch::Tensor& weight_OI() const { return weight_OI_; }  // [outputs, inputs]; undefined at four bits
  const torch::Tensor& bias_O() const { return bias_O_; }

  // From now on. The weight must not change any more.
  void adapt(LinearAdapter adapter);

  // With `row_key_T` (PackedBatch) the adapter drops inputs: LoRA those of A; DoRA those of A, and of W as far as
  // m / |W + scaling B A| is not 1, as PEFT does. Without it nothing is dropped.
  torch::Tensor operator()(const torch::Tensor& x_TI, const torch::Tensor& row_key_T = {}) const;

  // |W + scaling B A| of each row, in W's type: what a DoRA magnitude starts as. No gradient. Needs an adapter.
  torch::Tensor adapted_norm_O() const;

 private:
  torch::Tensor with_magnitude(const torch::Tensor& x_TI, const torch::Tensor& row_key_T) const;
  // x W^T + bias.
  torch::Tensor product(const torch::Tensor& x_TI, const torch::Tensor& bias_O) const;
  // W, made for a moment where it is kept at four bits.
  torch::Tensor dense_weight(torch::Dtype dtype) const;
  std::int64_t num_inputs() const { return nf4_.defined() ? nf4_.inputs : weight_OI_.size(1); }
  bool drops(const torch::Tensor& row_key_T) const { return row_key_T.defined() && adapter_->dropout > 0; }
  DropoutMask mask(const torch::Tensor& row_key_T) const;

  std::string name_;
  torch::Tensor weight_OI_, bias_O_;
  Nf4Weight nf4_;  // in place of weight_OI_
  std::optional<LinearAdapter> adapter_;
  torch::Tensor feature_key_I_;  // with dropout
  torch::Tensor square_O_;       // with DoRA: |W|^2 of each row
};

// The outputs of projections of one input, side by side, cut into parts of these widths: as many projections as
// widths, or one that is fused.
std::vector<torch::Tensor> project(const std::vector<Linear>& linears, const torch::Tensor& x_TI,
                                   const torch::Tensor& row_key_T, const std::vector<std::int64_t>& widths);

}  // namespace equipoise
