#include "worker/language_model/best_parameters.h"

#include "common/base/error.h"

namespace equipoise {

void BestParameters::keep(const std::vector<NamedTensor>& parameters) {
  const torch::NoGradGuard no_grad;
  if (kept_.empty()) {
    for (const NamedTensor& parameter : parameters) {
      kept_.push_back(torch::empty_like(parameter.tensor, parameter.tensor.options().device(torch::kCPU)));
    }
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) kept_[i].copy_(parameters[i].tensor);
}

void BestParameters::put_back(const std::vector<NamedTensor>& parameters) const {
  if (kept_.empty()) return;
  EQUIPOISE_CHECK(kept_.size() == parameters.size());
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < kept_.size(); ++i) torch::Tensor(parameters[i].tensor).copy_(kept_[i]);
}

}  // namespace equipoise
