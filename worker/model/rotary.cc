#include "worker/model/rotary.h"

#include <torch/csrc/autograd/custom_function.h>

#include <numbers>

#include "worker/model/wide_type.h"

namespace equipoise {
namespace {

torch::Tensor turn(const torch::Tensor& x_TND, const torch::Tensor& cos_T1F, const torch::Tensor& sin_T1F,
                   double direction) {
  const std::int64_t half = cos_T1F.size(-1), rest = x_TND.size(-1) - 2 * half;
  const torch::Tensor first = x_TND.narrow(-1, 0, half), second = x_TND.narrow(-1, half, half);
  torch::Tensor turned = torch::empty(x_TND.sizes(), x_TND.options());
  torch::Tensor turned_first = turned.narrow(-1, 0, half), turned_second = turned.narrow(-1, half, half);
  torch::mul_out(turned_first, first, cos_T1F).addcmul_(second, sin_T1F, -direction);
  torch::mul_out(turned_second, second, cos_T1F).addcmul_(first, sin_T1F, direction);
  if (rest > 0) turned.narrow(-1, 2 * half, rest).copy_(x_TND.narrow(-1, 2 * half, rest));
  return turned;
}

// One node instead of the ten that rotate_half() leaves; its gradient is the turn back.
struct Rotate : torch::autograd::Function<Rotate> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x_TND,
                               const torch::Tensor& cos_T1F, const torch::Tensor& sin_T1F) {
    context->save_for_backward({cos_T1F, sin_T1F});
    return turn(x_TND, cos_T1F, sin_T1F, 1);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {turn(gradients[0], saved[0], saved[1], -1), {}, {}};
  }
};

// Waves shorter than original / high stay, those longer than original / low are stretched by `factor`, and between
// them the share of the stretched falls with the number of waves that fit into the original positions.
torch::Tensor stretch_long_waves(const torch::Tensor& frequency_F, const Llama3Scaling& scaling) {
  const torch::Tensor waves_F = frequency_F * (scaling.original_positions / (2 * std::numbers::pi));
  const torch::Tensor kept_F =
      ((waves_F - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)).clamp(0, 1);
  return frequency_F * (kept_F + (1 - kept_F) / scaling.factor);
}

torch::Tensor frequencies(const RotaryTable& table, const torch::TensorOptions& options) {
  const torch::Tensor exponent_F = torch::arange(0, table.dim, 2, options) / static_cast<double>(table.dim);
  torch::Tensor frequency_F = torch::pow(table.theta, exponent_F).reciprocal();
  if (table.divisor != 1) frequency_F = frequency_F / table.divisor;
  if (!table.divisor_F.empty())
    frequency_F = frequency_F / torch::tensor(table.divisor_F).to(options.device(), options.dtype());
  if (table.llama3) frequency_F = stretch_long_waves(frequency_F, *table.llama3);
  return frequency_F;
}

}  // namespace

RotaryAngles rotary_angles(const torch::Tensor& position_T, const RotaryTable& table, torch::Dtype dtype) {
  const torch::TensorOptions options = position_T.options().dtype(wide_type(dtype));
  const torch::Tensor angle_T1F = position_T.to(wide_type(dtype)).view({-1, 1, 1}) * frequencies(table, options);
  RotaryAngles angles{.cos_T1F = angle_T1F.cos(), .sin_T1F = angle_T1F.sin()};
  if (table.magnitude != 1) {
    angles.cos_T1F.mul_(table.magnitude);
    angles.sin_T1F.mul_(table.magnitude);
  }
  return {.cos_T1F = angles.cos_T1F.to(dtype), .sin_T1F = angles.sin_T1F.to(dtype)};
}

torch::Tensor rotate(const torch::Tensor& x_TND, const RotaryAngles& angles) {
  return Rotate::apply(x_TND, angles.cos_T1F, angles.sin_T1F);
}

}  // namespace equipoise
