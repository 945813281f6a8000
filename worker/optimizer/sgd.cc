#include "worker/optimizer/update_rule.h"

namespace equipoise {
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

}  // namespace equipoise
