#include "worker/model/linear.h"

#include "common/base/error.h"
#include "worker/model/wide_type.h"

namespace equipoise {

torch::Tensor squared_row_norms(const torch::Tensor& weight_OI) {
  const torch::NoGradGuard no_grad;
  return weight_OI.to(wide_type(weight_OI.scalar_type())).square().sum(1);
}

// |W + s B A|^2 = |W|^2 + 2 s B (A W^T)^T + s^2 B (A A^T) B^T, row by row: products of rank r alone.
torch::Tensor adapted_row_norms(const torch::Tensor& weight_OI, const torch::Tensor& square_O,
                                const torch::Tensor& a_RI, const torch::Tensor& b_OR, double scaling) {
  const torch::NoGradGuard no_grad;
  const torch::Dtype wide = square_O.scalar_type();
  const torch::Tensor b_wide_OR = b_OR.to(wide), a_wide_RI = a_RI.to(wide);
  const torch::Tensor across_OR = torch::mm(weight_OI, a_RI.t()).to(wide);
  const torch::Tensor change_OR = torch::mm(b_wide_OR, torch::mm(a_wide_RI, a_wide_RI.t()));
  const torch::Tensor added_O = (b_wide_OR * (2 * scaling * across_OR + scaling * scaling * change_OR)).sum(1);
  return (square_O + added_O).clamp_min_(0).sqrt_().to(weight_OI.scalar_type());
}

Linear::Linear(std::string name, torch::Tensor weight_OI, torch::Tensor bias_O)
    : name_(std::move(name)), weight_OI_(std::move(weight_OI)), bias_O_(std::move(bias_O)) {}

Linear::Linear(std::string name, Nf4Weight weight, torch::Tensor bias_O)
    : name_(std::move(name)), bias_O_(std::move(bias_O)), nf4_(std::move(weight)) {}

void Linear::adapt(LinearAdapter adapter) {
  adapter_ = std::move(adapter);
  if (adapter_->dropout > 0) feature_key_I_ = feature_keys(name_, num_inputs(), adapter_->a_RI.device());
  if (adapter_->magnitude_O.defined()) square_O_ = squared_row_norms(dense_weight(adapter_->a_RI.scalar_type()));
}

torch::Tensor Linear::operator()(const torch::Tensor& x_TI, const torch::Tensor& row_key_T) const {
  if (!adapter_) return product(x_TI, bias_O_);
  if (adapter_->magnitude_O.defined()) return with_magnitude(x_TI, row_key_T);
  const torch::Tensor low_TR =
      drops(row_key_T) ? linear_of_kept(x_TI, adapter_->a_RI, mask(row_key_T)) : torch::linear(x_TI, adapter_->a_RI);
  return product(x_TI, bias_O_) + torch::linear(low_TR, adapter_->b_OR) * adapter_->scaling;
}

torch::Tensor Linear::with_magnitude(const torch::Tensor& x_TI, const torch::Tensor& row_key_T) const {
  const torch::Tensor factor_O = adapter_->magnitude_O / adapted_norm_O();
  if (drops(row_key_T)) {
    const torch::Tensor low_TR = linear_of_kept(x_TI, adapter_->a_RI, mask(row_key_T));
    const torch::Tensor change_TO = torch::linear(low_TR, adapter_->b_OR) * adapter_->scaling;
    // W takes no gradient, so that what is left of x is not held for it.
    const torch::Tensor kept_TO = product(dropped(x_TI, mask(row_key_T)), {});
    return product(x_TI, bias_O_) + (factor_O - 1) * kept_TO + factor_O * change_TO;
  }
  const torch::Tensor change_TO =
      torch::linear(torch::linear(x_TI, adapter_->a_RI), adapter_->b_OR) * adapter_->scaling;
  const torch::Tensor y_TO = factor_O * (product(x_TI, {}) + change_TO);
  return bias_O_.defined() ? y_TO + bias_O_ : y_TO;
}

torch::Tensor Linear::adapted_norm_O() const {
  EQUIPOISE_CHECK(adapter_.has_value());
  const torch::Tensor weight_OI = dense_weight(adapter_->a_RI.scalar_type());
  const torch::Tensor square_O = square_O_.defined() ? square_O_ : squared_row_norms(weight_OI);
  return adapted_row_norms(weight_OI, square_O, adapter_->a_RI, adapter_->b_OR, adapter_->scaling);
}

torch::Tensor Linear::product(const torch::Tensor& x_TI, const torch::Tensor& bias_O) const {
  return nf4_.defined() ? linear_of_nf4(x_TI, nf4_, bias_O) : torch::linear(x_TI, weight_OI_, bias_O);
}

torch::Tensor Linear::dense_weight(torch::Dtype dtype) const {
  return nf4_.defined() ? dequantized(nf4_, dtype) : weight_OI_;
}

DropoutMask Linear::mask(const torch::Tensor& row_key_T) const {
  return {.share = adapter_->dropout, .row_key_T = row_key_T, .feature_key_I = feature_key_I_};
}

std::vector<torch::Tensor> project(const std::vector<Linear>& linears, const torch::Tensor& x_TI,
                                   const torch::Tensor& row_key_T, const std::vector<std::int64_t>& widths) {
  if (linears.size() == 1) return linears.front()(x_TI, row_key_T).split_with_sizes(widths, -1);
  EQUIPOISE_CHECK(linears.size() == widths.size());
  std::vector<torch::Tensor> outputs;
  for (const Linear& linear : linears) outputs.push_back(linear(x_TI, row_key_T));
  return outputs;
}

}  // namespace equipoise
