#include "worker/model/linear.h"

#include "common/base/error.h"
#include "worker/model/dora.h"
#include "worker/model/dropout.h"

namespace equipoise {

Linear::Linear(std::string name, torch::Tensor weight_OI, torch::Tensor bias_O)
    : name_(std::move(name)), weight_OI_(std::move(weight_OI)), bias_O_(std::move(bias_O)) {}

void Linear::adapt(LinearAdapter adapter) {
  adapter_ = std::move(adapter);
  if (adapter_->dropout > 0) feature_key_I_ = feature_keys(name_, weight_OI_.size(1), weight_OI_.device());
  if (adapter_->magnitude_O.defined()) square_O_ = squared_row_norms(weight_OI_);
}

torch::Tensor Linear::operator()(const torch::Tensor& x_TI, const torch::Tensor& row_key_T) const {
  if (adapter_ && adapter_->magnitude_O.defined()) return with_magnitude(x_TI, row_key_T);
  const torch::Tensor y_TO = torch::linear(x_TI, weight_OI_, bias_O_);
  if (!adapter_) return y_TO;
  return y_TO + torch::linear(of_kept(x_TI, adapter_->a_RI, row_key_T), adapter_->b_OR) * adapter_->scaling;
}

torch::Tensor Linear::with_magnitude(const torch::Tensor& x_TI, const torch::Tensor& row_key_T) const {
  const torch::Tensor factor_O = adapter_->magnitude_O / adapted_norm_O();
  const torch::Tensor change_TO =
      torch::linear(of_kept(x_TI, adapter_->a_RI, row_key_T), adapter_->b_OR) * adapter_->scaling;
  if (row_key_T.defined() && adapter_->dropout > 0) {
    const torch::Tensor kept_TO = of_kept(x_TI, weight_OI_, row_key_T);
    return torch::linear(x_TI, weight_OI_, bias_O_) + (factor_O - 1) * kept_TO + factor_O * change_TO;
  }
  const torch::Tensor y_TO = factor_O * (torch::linear(x_TI, weight_OI_) + change_TO);
  return bias_O_.defined() ? y_TO + bias_O_ : y_TO;
}

torch::Tensor Linear::adapted_norm_O() const {
  EQUIPOISE_CHECK(adapter_.has_value());
  const torch::Tensor square_O = square_O_.defined() ? square_O_ : squared_row_norms(weight_OI_);
  return adapted_row_norms(weight_OI_, square_O, adapter_->a_RI, adapter_->b_OR, adapter_->scaling);
}

torch::Tensor Linear::of_kept(const torch::Tensor& x_TI, const torch::Tensor& weight,
                              const torch::Tensor& row_key_T) const {
  if (!row_key_T.defined() || adapter_->dropout == 0) return torch::linear(x_TI, weight);
  return linear_of_kept(x_TI, weight,
                        {.share = adapter_->dropout, .row_key_T = row_key_T, .feature_key_I = feature_key_I_});
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
