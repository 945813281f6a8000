#include "worker/optimizer/update_rule.h"

#include <algorithm>

namespace equipoise {

std::vector<torch::Tensor> DecayGroup::of(const std::vector<torch::Tensor>& all) const {
  std::vector<torch::Tensor> chosen;
  chosen.reserve(index.size());
  for (const std::size_t i : index) chosen.push_back(all[i]);
  return chosen;
}

std::vector<torch::Tensor> DecayGroup::zeros() const {
  std::vector<torch::Tensor> zeros;
  for (const torch::Tensor& value : values) zeros.push_back(torch::zeros_like(value.detach()));
  return zeros;
}

void DecayGroup::add_state(const std::string& suffix, const std::vector<torch::Tensor>& tensors,
                           std::vector<NamedTensor>& state) const {
  for (std::size_t i = 0; i < tensors.size(); ++i) state.push_back({names[i] + suffix, tensors[i]});
}

void DecayGroup::decay(double learning_rate) const {
  if (weight_decay != 0) at::_foreach_mul_(values, 1 - learning_rate * weight_decay);
}

std::vector<DecayGroup> decay_groups(const std::vector<OptimizedParameter>& parameters) {
  std::vector<DecayGroup> groups;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const OptimizedParameter& parameter = parameters[i];
    const auto has_decay = [&](const DecayGroup& group) { return group.weight_decay == parameter.weight_decay; };
    auto group = std::find_if(groups.begin(), groups.end(), has_decay);
    if (group == groups.end()) group = groups.insert(groups.end(), DecayGroup{.weight_decay = parameter.weight_decay});
    group->index.push_back(i);
    group->names.push_back(parameter.name);
    group->values.push_back(parameter.value);
  }
  return groups;
}

}  // namespace equipoise
