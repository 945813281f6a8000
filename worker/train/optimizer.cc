#include "worker/train/optimizer.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace equipoise {
namespace {

bool decays(const OptimizerConfig& config, const std::string& name) {
  if (!config.decay_norms && name.find("norm") != std::string::npos) return false;
  return config.decay_biases || !name.ends_with(".bias");
}

std::vector<torch::Tensor> gradients_of(const std::vector<torch::Tensor>& parameters) {
  std::vector<torch::Tensor> gradients;
  for (const torch::Tensor& parameter : parameters) gradients.push_back(parameter.grad());
  return gradients;
}

// The squares of the tensors' norms add up in float64, on the gradients' device: one number comes back.
double global_norm(const std::vector<torch::Tensor>& gradients) {
  const torch::Tensor norms = torch::stack(at::_foreach_norm(gradients)).to(torch::kFloat64);
  return norms.norm().item<double>();
}

double learning_rate(const OptimizerConfig& config, std::int64_t step) {
  if (step >= config.warmup_steps) return config.learning_rate;
  return config.learning_rate * static_cast<double>(step) / static_cast<double>(config.warmup_steps);
}

}  // namespace

Optimizer::Optimizer(const OptimizerConfig& config, const std::vector<NamedTensor>& parameters) : config_(config) {
  decayed_.weight_decay = config.weight_decay;
  for (const NamedTensor& parameter : parameters) {
    parameters_.push_back(parameter.tensor);
    add(decays(config, parameter.name) ? decayed_ : undecayed_, parameter.tensor);
  }
}

void Optimizer::add(Group& group, const torch::Tensor& parameter) const {
  group.parameters.push_back(parameter);
  if (config_.type != OptimizerType::kAdamW) return;
  group.exp_avg.push_back(torch::zeros_like(parameter.detach()));
  group.exp_avg_sq.push_back(torch::zeros_like(parameter.detach()));
  group.steps.push_back(torch::zeros({}, parameter.options().dtype(torch::kFloat32).requires_grad(false)));
}

OptimizerResult Optimizer::step(std::int64_t step) {
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> gradients = gradients_of(parameters_);
  const OptimizerResult result{.grad_norm = global_norm(gradients), .learning_rate = learning_rate(config_, step)};
  if (!std::isfinite(result.grad_norm)) return result;
  if (config_.max_grad_norm > 0) {
    const double factor = config_.max_grad_norm / (result.grad_norm + 1e-6);
    if (factor < 1) at::_foreach_mul_(gradients, factor);
  }
  update(decayed_, result.learning_rate);
  update(undecayed_, result.learning_rate);
  return result;
}

void Optimizer::update(Group& group, double learning_rate) const {
  if (group.parameters.empty()) return;
  const std::vector<torch::Tensor> gradients = gradients_of(group.parameters);
  if (config_.type == OptimizerType::kSgd) {
    at::_foreach_mul_(group.parameters, 1 - learning_rate * group.weight_decay);
    at::_foreach_add_(group.parameters, gradients, -learning_rate);
    return;
  }
  at::_foreach_add_(group.steps, 1);
  at::_fused_adamw_(group.parameters, gradients, group.exp_avg, group.exp_avg_sq, {}, group.steps, learning_rate,
                    config_.beta1, config_.beta2, group.weight_decay, config_.epsilon, /*amsgrad=*/false,
                    /*maximize=*/false);
}

}  // namespace equipoise
