#include "worker/optimizer/muon.h"

#include <algorithm>
#include <cmath>

#include "worker/optimizer/update_rule.h"

namespace equipoise {
namespace {

class Muon : public UpdateRule {
 public:
  Muon(const OptimizerConfig& config, const std::vector<OptimizedParameter>& parameters) : config_(config) {
    std::vector<OptimizedParameter> others;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (is_hidden_matrix(parameters[i].name, parameters[i].value)) {
        matrices_.push_back(
            {.parameter = parameters[i], .index = i, .momentum = torch::zeros_like(parameters[i].value.detach())});
      } else {
        others.push_back(parameters[i]);
        other_index_.push_back(i);
      }
    }
    OptimizerConfig adamw = config;
    adamw.learning_rate = config.adamw_learning_rate;
    adamw_ = make_adamw(adamw, std::move(others));
  }

  void update(const std::vector<torch::Tensor>& gradients, double rate_factor) override {
    for (const Matrix& matrix : matrices_) step(matrix, gradients[matrix.index], config_.learning_rate * rate_factor);
    std::vector<torch::Tensor> others;
    others.reserve(other_index_.size());
    for (const std::size_t i : other_index_) others.push_back(gradients[i]);
    adamw_->update(others, rate_factor);
  }

  std::vector<NamedTensor> state() const override {
    std::vector<NamedTensor> state;
    for (const Matrix& matrix : matrices_)
      state.push_back({matrix.parameter.name + ".momentum_buffer", matrix.momentum});
    for (NamedTensor& tensor : adamw_->state()) state.push_back(std::move(tensor));
    return state;
  }

 private:
  struct Matrix {
    OptimizedParameter parameter;
    std::size_t index;
    torch::Tensor momentum;  // B
  };

  void step(const Matrix& matrix, const torch::Tensor& gradient, double learning_rate) const {
    const torch::Tensor& value = matrix.parameter.value;
    matrix.momentum.lerp_(gradient, 1 - config_.momentum);
    const torch::Tensor direction = orthogonalized(gradient.lerp(matrix.momentum, config_.momentum));
    value.mul_(1 - learning_rate * matrix.parameter.weight_decay);
    value.add_(direction, -learning_rate * muon_scale(config_.muon_scale, value.size(0), value.size(1)));
  }

  OptimizerConfig config_;
  std::vector<Matrix> matrices_;
  std::vector<std::size_t> other_index_;
  std::unique_ptr<UpdateRule> adamw_;
};

}  // namespace

bool is_hidden_matrix(const std::string& name, const torch::Tensor& value) {
  return value.dim() == 2 && name.find(".layers.") != std::string::npos;
}

torch::Tensor orthogonalized(const torch::Tensor& matrix) {
  constexpr double a = 3.4445, b = -4.775, c = 2.0315;
  constexpr int kSteps = 5;
  const bool is_tall = matrix.size(0) > matrix.size(1);
  torch::Tensor x = is_tall ? matrix.t() : matrix;
  x = x / matrix.norm().clamp_min(1e-7);
  for (int step = 0; step < kSteps; ++step) {
    const torch::Tensor gram = x.mm(x.t());
    x = torch::addmm(x, torch::addmm(gram, gram, gram, b, c), x, a);
  }
  return is_tall ? x.t() : x;
}

double muon_scale(MuonScale scale, std::int64_t rows, std::int64_t columns) {
  const auto r = static_cast<double>(rows), c = static_cast<double>(columns);
  return scale == MuonScale::kOriginal ? std::sqrt(std::max(1.0, r / c)) : 0.2 * std::sqrt(std::max(r, c));
}

std::unique_ptr<UpdateRule> make_muon(const OptimizerConfig& config, std::vector<OptimizedParameter> parameters) {
  return std::make_unique<Muon>(config, parameters);
}

}  // namespace equipoise
