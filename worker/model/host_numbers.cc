#include "worker/model/host_numbers.h"

#include "common/base/error.h"

namespace equipoise {

void copy_to_host(std::span<const torch::Tensor> tensors, std::span<std::vector<double>> values_N) {
  EQUIPOISE_CHECK(tensors.size() == values_N.size());
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> lists;
  for (const torch::Tensor& tensor : tensors) {
    if (tensor.defined()) lists.push_back(tensor.flatten());
  }
  if (lists.empty()) return;
  // Lists of several types become one of the widest, which holds all of their numbers.
  const torch::Tensor host = torch::cat(lists).to(torch::kCPU, torch::kFloat64);
  const double* next = host.const_data_ptr<double>();
  for (std::size_t n = 0; n < tensors.size(); ++n) {
    if (!tensors[n].defined()) continue;
    values_N[n].assign(next, next + tensors[n].numel());
    next += tensors[n].numel();
  }
}

}  // namespace equipoise
