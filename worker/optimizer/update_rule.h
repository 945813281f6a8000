// How one optimiser moves parameters along their gradients. One interface; Muon has a file of its own.
//   decay of every rule  p <- p - lr decay p, before the step, decoupled from the gradient    Loshchilov, Hutter 2019
#pragma once

#include <torch/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "common/config/optimizer_config.h"
#include "worker/model/decoder.h"

namespace equipoise {

struct OptimizedParameter {
  std::string name;
  torch::Tensor value;  // what the rule writes to: the parameter, or its float32 master copy
  double weight_decay = 0;
};

class UpdateRule {
 public:
  virtual ~UpdateRule() = default;
  // gradients: of the parameters, in their order and of their types. rate_factor >= 0 scales every learning rate
  // of the configuration. Called without gradient mode.
  virtual void update(const std::vector<torch::Tensor>& gradients, double rate_factor) = 0;
  // What the rule remembers, named PARAMETER.STATE. The tensors are the rule's own: writing to them restores it.
  virtual std::vector<NamedTensor> state() const = 0;
};

// The values of `parameters` change in place; all zeros to start with.
//   SGD      p <- p - lr g
std::unique_ptr<UpdateRule> make_sgd(const OptimizerConfig& config, std::vector<OptimizedParameter> parameters);
//   AdamW    m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2
//            p <- p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)                  Loshchilov, Hutter 2019
std::unique_ptr<UpdateRule> make_adamw(const OptimizerConfig& config, std::vector<OptimizedParameter> parameters);
//   RMSprop  v <- s v + (1 - s) g^2,  u <- momentum u + g / (sqrt(v) + epsilon),  p <- p - lr u
//            as torch.optim.RMSprop without `centered`; its decay, which goes into the gradient, is decoupled here
std::unique_ptr<UpdateRule> make_rmsprop(const OptimizerConfig& config, std::vector<OptimizedParameter> parameters);
//   Muon     muon.h
std::unique_ptr<UpdateRule> make_muon(const OptimizerConfig& config, std::vector<OptimizedParameter> parameters);

// Parameters that share a weight decay, and where they stand among all.
struct DecayGroup {
  double weight_decay = 0;
  std::vector<std::size_t> index = {};
  std::vector<std::string> names = {};
  std::vector<torch::Tensor> values = {};

  std::vector<torch::Tensor> of(const std::vector<torch::Tensor>& all) const;  // all[index]
  std::vector<torch::Tensor> zeros() const;                                    // like the values
  void add_state(const std::string& suffix, const std::vector<torch::Tensor>& tensors,
                 std::vector<NamedTensor>& state) const;
  void decay(double learning_rate) const;
};
std::vector<DecayGroup> decay_groups(const std::vector<OptimizedParameter>& parameters);

}  // namespace equipoise
