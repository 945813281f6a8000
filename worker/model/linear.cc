#include "worker/model/linear.h"

#include "common/base/error.h"

namespace equipoise {

Linear::Linear(std::string name, torch::Tensor weight_OI, torch::Tensor bias_O)
    : name_(std::move(name)), weight_OI_(std::move(weight_OI)), bias_O_(std::move(bias_O)) {}

void Linear::adapt(torch::Tensor a_RI, torch::Tensor b_OR, double scaling) {
  a_RI_ = std::move(a_RI);
  b_OR_ = std::move(b_OR);
  scaling_ = scaling;
}

torch::Tensor Linear::operator()(const torch::Tensor& x_TI) const {
  const torch::Tensor y_TO = torch::linear(x_TI, weight_OI_, bias_O_);
  if (!a_RI_.defined()) return y_TO;
  return y_TO + torch::linear(torch::linear(x_TI, a_RI_), b_OR_) * scaling_;
}

std::vector<torch::Tensor> project(const std::vector<Linear>& linears, const torch::Tensor& x_TI,
                                   const std::vector<std::int64_t>& widths) {
  if (linears.size() == 1) return linears.front()(x_TI).split_with_sizes(widths, -1);
  EQUIPOISE_CHECK(linears.size() == widths.size());
  std::vector<torch::Tensor> outputs;
  for (const Linear& linear : linears) outputs.push_back(linear(x_TI));
  return outputs;
}

}  // namespace equipoise
