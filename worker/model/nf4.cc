#include "worker/model/nf4.h"

#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <stdexcept>
#include <vector>

namespace equipoise {

// A clang-format table would hide that the two halves differ: 8 numbers below 0, 7 above.
const std::array<float, 16> kNf4Values = {-1.0F,
                                          -0.6961928009986877F,
                                          -0.5250730514526367F,
                                          -0.39491748809814453F,
                                          -0.28444138169288635F,
                                          -0.18477343022823334F,
                                          -0.09105003625154495F,
                                          0.0F,
                                          0.07958029955625534F,
                                          0.16093020141124725F,
                                          0.24611230194568634F,
                                          0.33791524171829224F,
                                          0.44070982933044434F,
                                          0.5626170039176941F,
                                          0.7229568362236023F,
                                          1.0F};

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::int64_t padded(std::int64_t count, std::int64_t unit) { return (count + unit - 1) / unit * unit; }

// Halfway between neighbours: 15.
torch::Tensor boundaries(torch::Device device) {
  std::vector<float> halfway;
  for (std::size_t i = 0; i + 1 < kNf4Values.size(); ++i) halfway.push_back((kNf4Values[i] + kNf4Values[i + 1]) / 2);
  return torch::tensor(halfway, torch::kFloat32).to(device);
}

struct LinearOfNf4 : torch::autograd::Function<LinearOfNf4> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x_TI, const torch::Tensor& code_P,
                               const torch::Tensor& scale_G, const torch::Tensor& byte_value_B2,
                               const std::optional<torch::Tensor>& bias_O, std::int64_t outputs) {
    const Nf4Weight weight{.code_P = code_P,
                           .scale_G = scale_G,
                           .byte_value_B2 = byte_value_B2,
                           .outputs = outputs,
                           .inputs = x_TI.size(1)};
    context->save_for_backward({code_P, scale_G, byte_value_B2});
    context->saved_data["outputs"] = outputs;
    context->saved_data["inputs"] = x_TI.size(1);
    return torch::linear(x_TI, dequantized(weight, x_TI.scalar_type()), bias_O);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Nf4Weight weight{.code_P = saved[0],
                           .scale_G = saved[1],
                           .byte_value_B2 = saved[2],
                           .outputs = context->saved_data["outputs"].toInt(),
                           .inputs = context->saved_data["inputs"].toInt()};
    torch::Tensor dx_TI;
    if (context->needs_input_grad(0)) {
      dx_TI = torch::mm(gradients[0], dequantized(weight, gradients[0].scalar_type()));
    }
    return {dx_TI, {}, {}, {}, {}, {}};
  }
};

}  // namespace

torch::Tensor nf4_byte_values(torch::Device device) {
  std::vector<float> values;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    values.push_back(kNf4Values[byte >> 4]);
    values.push_back(kNf4Values[byte & 15]);
  }
  return torch::tensor(values, torch::kFloat32).to(device).view({256, 2});
}

Nf4Weight quantized_nf4(const torch::Tensor& weight_OI) {
  const torch::NoGradGuard no_grad;
  const std::int64_t count = weight_OI.numel(), with_padding = padded(count, kNf4Block);
  torch::Tensor flat = weight_OI.to(torch::kFloat32).contiguous().view({-1});
  if (with_padding > count) flat = torch::constant_pad_nd(flat, {0, with_padding - count});
  const torch::Tensor blocks_GB = flat.view({-1, kNf4Block});
  const torch::Tensor scale_G = blocks_GB.abs().amax(1);
  if (!torch::isfinite(scale_G).all().item<bool>()) {
    throw std::invalid_argument("a weight to quantise has a number that is not finite");
  }
  // A block of zeros keeps its scale of 0.
  const torch::Tensor divisor_G = torch::where(scale_G > 0, scale_G, torch::ones_like(scale_G));
  const torch::Tensor code = torch::bucketize(blocks_GB / divisor_G.unsqueeze(1), boundaries(flat.device()),
                                              /*out_int32=*/true)
                                 .to(torch::kUInt8)
                                 .view({-1, 2});
  const torch::Tensor packed_P = code.select(1, 0).mul(16).add_(code.select(1, 1));
  const std::int64_t bytes = padded(count, 2) / 2;
  return {.code_P = packed_P.narrow(0, 0, bytes).clone(),
          .scale_G = scale_G,
          .byte_value_B2 = nf4_byte_values(weight_OI.device()),
          .outputs = weight_OI.size(0),
          .inputs = weight_OI.size(1)};
}

torch::Tensor dequantized(const Nf4Weight& weight, torch::Dtype dtype) {
  const torch::NoGradGuard no_grad;
  const std::int64_t count = weight.outputs * weight.inputs, blocks = weight.scale_G.size(0);
  torch::Tensor flat = torch::index_select(weight.byte_value_B2, 0, weight.code_P.to(torch::kInt32)).view({-1});
  const std::int64_t missing = blocks * kNf4Block - flat.size(0);
  if (missing > 0) flat = torch::constant_pad_nd(flat, {0, missing});
  // The product is a float32, rounded once where it is written.
  torch::Tensor result = torch::empty({blocks, kNf4Block}, flat.options().dtype(dtype));
  torch::mul_out(result, flat.view({blocks, kNf4Block}), weight.scale_G.unsqueeze(1));
  return result.view({-1}).narrow(0, 0, count).view({weight.outputs, weight.inputs});
}

torch::Tensor linear_of_nf4(const torch::Tensor& x_TI, const Nf4Weight& weight, const torch::Tensor& bias_O) {
  // An undefined tensor is nothing that a node of the graph may have.
  const auto bias = bias_O.defined() ? std::optional(bias_O) : std::nullopt;
  return LinearOfNf4::apply(x_TI, weight.code_P, weight.scale_G, weight.byte_value_B2, bias, weight.outputs);
}

}  // namespace equipoise
