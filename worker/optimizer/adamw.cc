#include "worker/optimizer/update_rule.h"

namespace equipoise {
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
