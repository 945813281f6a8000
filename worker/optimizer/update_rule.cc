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

namespace {

class Sgd : public UpdateRule {
 public:
  Sgd(const OptimizerConfig& config, const std::vector<OptimizedParameter>& parameters)
      : learning_rate_(config.learning_rate), groups_(decay_groups(parameters)) {}

  void update(const std::vector<torch::Tensor>& gradients, double rate_factor) override {
    const double learning_rate = learning_rate_ * rate_factor;
    for (const DecayGroup& group : groups_) {
      group.decay(learning_rate);
      at::_foreach_add_(group.values, group.of(gradients), -learning_rate);
    }
  }

  std::vector<NamedTensor> state() const override { return {}; }

 private:
  double learning_rate_;
  std::vector<DecayGroup> groups_;
};

}  // namespace

std::unique_ptr<UpdateRule> make_sgd(const OptimizerConfig& config, std::vector<OptimizedParameter> parameters) {
  return std::make_unique<Sgd>(config, parameters);
}

namespace {

class RmsProp : public UpdateRule {
 public:
  RmsProp(const OptimizerConfig& config, const std::vector<OptimizedParameter>& parameters) : config_(config) {
    for (DecayGroup& group : decay_groups(parameters)) {
      Averages averages{.group = std::move(group)};
      averages.square = averages.group.zeros();
      if (config.momentum > 0) averages.momentum = averages.group.zeros();
      averages_.push_back(std::move(averages));
    }
  }

  void update(const std::vector<torch::Tensor>& gradients, double rate_factor) override {
    const double learning_rate = config_.learning_rate * rate_factor;
    for (const Averages& averages : averages_) {
      const std::vector<torch::Tensor> mine = averages.group.of(gradients);
      averages.group.decay(learning_rate);
      at::_foreach_mul_(averages.square, config_.smoothing);
      at::_foreach_addcmul_(averages.square, mine, mine, 1 - config_.smoothing);
      const std::vector<torch::Tensor> root = at::_foreach_sqrt(averages.square);
      at::_foreach_add_(root, config_.epsilon);
      if (averages.momentum.empty()) {
        at::_foreach_addcdiv_(averages.group.values, mine, root, -learning_rate);
        continue;
      }
      at::_foreach_mul_(averages.momentum, config_.momentum);
      at::_foreach_addcdiv_(averages.momentum, mine, root, 1);
      at::_foreach_add_(averages.group.values, averages.momentum, -learning_rate);
    }
  }

  std::vector<NamedTensor> state() const override {
    std::vector<NamedTensor> state;
    for (const Averages& averages : averages_) {
      averages.group.add_state(".square_avg", averages.square, state);
      averages.group.add_state(".momentum_buffer", averages.momentum, state);
    }
    return state;
  }

 private:
  struct Averages {
    DecayGroup group;
    std::vector<torch::Tensor> square = {}, momentum = {};  // v and u; no u without momentum
  };
  OptimizerConfig config_;
  std::vector<Averages> averages_;
};

}  // namespace

std::unique_ptr<UpdateRule> make_rmsprop(const OptimizerConfig& config, std::vector<OptimizedParameter> parameters) {
  return std::make_unique<RmsProp>(config, parameters);
}

namespace {

class AdamW : public UpdateRule {
 public:
  AdamW(const OptimizerConfig& config, const std::vector<OptimizedParameter>& parameters) : config_(config) {
    for (DecayGroup& group : decay_groups(parameters)) {
      Moments moments{.group = std::move(group)};
      moments.exp_avg = moments.group.zeros();
      moments.exp_avg_sq = moments.group.zeros();
      for (const torch::Tensor& value : moments.group.values) {
        moments.steps.push_back(torch::zeros({}, value.options().dtype(torch::kFloat32).requires_grad(false)));
      }
      moments_.push_back(std::move(moments));
    }
  }

  void update(const std::vector<torch::Tensor>& gradients, double rate_factor) override {
    for (const Moments& moments : moments_) {
      at::_foreach_add_(moments.steps, 1);
      at::_fused_adamw_(moments.group.values, moments.group.of(gradients), moments.exp_avg, moments.exp_avg_sq, {},
                        moments.steps, config_.learning_rate * rate_factor, config_.beta1, config_.beta2,
                        moments.group.weight_decay, config_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
    }
  }

  std::vector<NamedTensor> state() const override {
    std::vector<NamedTensor> state;
    for (const Moments& moments : moments_) {
      moments.group.add_state(".exp_avg", moments.exp_avg, state);
      moments.group.add_state(".exp_avg_sq", moments.exp_avg_sq, state);
      moments.group.add_state(".step", moments.steps, state);
    }
    return state;
  }

 private:
  struct Moments {
    DecayGroup group;
    std::vector<torch::Tensor> exp_avg = {}, exp_avg_sq = {}, steps = {};  // m, v and t
  };
  OptimizerConfig config_;
  std::vector<Moments> moments_;
};

}  // namespace

std::unique_ptr<UpdateRule> make_adamw(const OptimizerConfig& config, std::vector<OptimizedParameter> parameters) {
  return std::make_unique<AdamW>(config, parameters);
}

}  // namespace equipoise
