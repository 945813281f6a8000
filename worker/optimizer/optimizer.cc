#include "worker/optimizer/optimizer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <unordered_map>

namespace equipoise {
namespace {

double weight_decay(const OptimizerConfig& config, const std::string& name) {
  const bool is_norm = name.find("norm") != std::string::npos;
  if (is_norm && !config.decay_norms) return 0;
  if (name.ends_with(".bias") && !config.decay_biases) return 0;
  return config.weight_decay;
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

std::unique_ptr<UpdateRule> make_rule(const OptimizerConfig& config, std::vector<OptimizedParameter> parameters) {
  switch (config.type) {
    case OptimizerType::kSgd:
      return make_sgd(config, std::move(parameters));
    case OptimizerType::kRmsProp:
      return make_rmsprop(config, std::move(parameters));
    case OptimizerType::kMuon:
      return make_muon(config, std::move(parameters));
    case OptimizerType::kAdamW:
      break;
  }
  return make_adamw(config, std::move(parameters));
}

// Throws std::invalid_argument unless `given` are the tensors of `own`, each of its shape and type.
void check_same_tensors(const std::vector<NamedTensor>& own,
                        const std::unordered_map<std::string, torch::Tensor>& given) {
  for (const NamedTensor& tensor : own) {
    const auto found = given.find(tensor.name);
    if (found == given.end()) throw std::invalid_argument("the optimiser's state has no tensor " + tensor.name);
    const torch::Tensor& other = found->second;
    if (other.sizes() == tensor.tensor.sizes() && other.scalar_type() == tensor.tensor.scalar_type()) continue;
    throw std::invalid_argument("the optimiser's state has " + tensor.name +
                                " of another shape or type than the job's");
  }
  if (given.size() == own.size()) return;
  throw std::invalid_argument("the optimiser's state has " + std::to_string(given.size()) + " tensors, expected the " +
                              std::to_string(own.size()) + " of the job's optimizer.type and model.dtype");
}

}  // namespace

Optimizer::Optimizer(const OptimizerConfig& config, const std::vector<NamedTensor>& parameters,
                     std::int64_t total_steps)
    : config_(config), schedule_(config, total_steps) {
  std::vector<OptimizedParameter> optimized;
  for (const auto& [name, tensor] : parameters) {
    parameters_.push_back(tensor);
    torch::Tensor value = tensor;
    if (tensor.scalar_type() == torch::kBFloat16) {
      value = tensor.detach().to(torch::kFloat32);
      masters_.push_back({name + ".master", value});
      with_master_.push_back(tensor);
    }
    optimized.push_back({.name = name, .value = value, .weight_decay = weight_decay(config, name)});
  }
  rule_ = make_rule(config, std::move(optimized));
}

OptimizerResult Optimizer::step(std::int64_t step) {
  const torch::NoGradGuard no_grad;
  const double factor = schedule_.factor(step);
  const std::vector<torch::Tensor> gradients = gradients_of(parameters_);
  const OptimizerResult result{.grad_norm = global_norm(gradients), .learning_rate = config_.learning_rate * factor};
  if (!std::isfinite(result.grad_norm)) return result;
  if (config_.max_grad_norm > 0) {
    const double clip = config_.max_grad_norm / (result.grad_norm + 1e-6);
    if (clip < 1) at::_foreach_mul_(gradients, clip);
  }
  rule_->update(gradients, factor);
  for (std::size_t i = 0; i < masters_.size(); ++i) with_master_[i].copy_(masters_[i].tensor);
  return result;
}

OptimizerState Optimizer::state() const {
  OptimizerState state{.tensors = rule_->state(), .schedule = schedule_.state()};
  state.tensors.insert(state.tensors.end(), masters_.begin(), masters_.end());
  return state;
}

void Optimizer::restore(const OptimizerState& state) {
  const torch::NoGradGuard no_grad;
  std::unordered_map<std::string, torch::Tensor> given;
  for (const auto& [name, tensor] : state.tensors) given.emplace(name, tensor);
  const std::vector<NamedTensor> own = this->state().tensors;
  check_same_tensors(own, given);
  for (const auto& [name, tensor] : own) torch::Tensor(tensor).copy_(given.at(name));
  schedule_.restore(state.schedule);
}

}  // namespace equipoise
