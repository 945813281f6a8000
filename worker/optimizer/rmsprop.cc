#include "worker/optimizer/update_rule.h"

namespace equipoise {
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

}  // namespace equipoise
