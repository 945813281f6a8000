// One linear projection of a decoder, known by the name of its Hugging Face module.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

namespace equipoise {

// y = x W^T + b, and + scaling (x A^T) B^T where it has an adapter.
class Linear {
 public:
  // Without a bias where `bias_O` is undefined.
  Linear(std::string name, torch::Tensor weight_OI, torch::Tensor bias_O);

  const std::string& name() const { return name_; }              // "model.layers.0.self_attn.q_proj"
  const torch::Tensor& weight_OI() const { return weight_OI_; }  // [outputs, inputs]
  const torch::Tensor& bias_O() const { return bias_O_; }

  // From now on.
  void adapt(torch::Tensor a_RI, torch::Tensor b_OR, double scaling);

  torch::Tensor operator()(const torch::Tensor& x_TI) const;

 private:
  std::string name_;
  torch::Tensor weight_OI_, bias_O_;
  torch::Tensor a_RI_, b_OR_;  // undefined: no adapter
  double scaling_ = 0;
};

// The outputs of projections of one input, side by side, cut into parts of these widths: as many projections as
// widths, or one that is fused.
std::vector<torch::Tensor> project(const std::vector<Linear>& linears, const torch::Tensor& x_TI,
                                   const std::vector<std::int64_t>& widths);

}  // namespace equipoise
