#include "worker/model/dropout.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "common/base/split_mix64.h"
#include "worker/model/wide_type.h"

namespace equipoise {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Elements of a mask that are made at once: a processor's cache holds their bits, a GPU is busy with them.
constexpr std::int64_t kOnProcessor = std::int64_t{1} << 16, kOnGpu = std::int64_t{1} << 24;

// The odd factors of MurmurHash3's 64-bit finalizer (Austin Appleby).
constexpr auto kFirstFactor = std::bit_cast<std::int64_t>(0xFF51AFD7ED558CCDULL);
constexpr auto kSecondFactor = std::bit_cast<std::int64_t>(0xC4CEB9FE1A85EC53ULL);
constexpr std::int64_t kLowHalf = 0xFFFFFFFF;

// A number uniform in [-2^63, 2^63) is below it with probability `share`.
std::int64_t threshold(double share) { return static_cast<std::int64_t>(share * 0x1p64 - 0x1p63); }

// The keys are mixed already; two multiplications take the order out of their combinations. The shift of a signed
// number brings its sign along, which the mask takes off.
torch::Tensor kept_of(const torch::Tensor& row_key_N, const torch::Tensor& feature_key_I, double share) {
  torch::Tensor bits_NI = torch::bitwise_xor(row_key_N.unsqueeze(1), feature_key_I);
  bits_NI.mul_(kFirstFactor);
  bits_NI.bitwise_xor_(torch::bitwise_right_shift(bits_NI, 32).bitwise_and_(kLowHalf));
  bits_NI.mul_(kSecondFactor);
  return bits_NI.ge(threshold(share));
}

// Calls `visit(first, count, kept [count, I])` for one range of rows after the other.
template <class Visit>
void for_parts(const DropoutMask& mask, const Visit& visit) {
  const std::int64_t rows = mask.row_key_T.size(0), inputs = mask.feature_key_I.size(0);
  const std::int64_t elements = mask.row_key_T.is_cuda() ? kOnGpu : kOnProcessor;
  const std::int64_t step = std::max<std::int64_t>(elements / std::max<std::int64_t>(inputs, 1), 1);
  for (std::int64_t first = 0; first < rows; first += step) {
    const std::int64_t count = std::min(step, rows - first);
    visit(first, count, kept_of(mask.row_key_T.narrow(0, first, count), mask.feature_key_I, mask.share));
  }
}

torch::Tensor dropped_now(const torch::Tensor& x_TI, const DropoutMask& mask) {
  torch::Tensor y_TI = x_TI / (1 - mask.share);
  for_parts(mask, [&](std::int64_t first, std::int64_t count, const torch::Tensor& kept_NI) {
    y_TI.narrow(0, first, count).mul_(kept_NI);
  });
  return y_TI;
}

struct Dropped : torch::autograd::Function<Dropped> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x_TI, const torch::Tensor& row_key_T,
                               const torch::Tensor& feature_key_I, double share) {
    context->save_for_backward({row_key_T, feature_key_I});
    context->saved_data["share"] = share;
    return dropped_now(x_TI, {share, row_key_T, feature_key_I});
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {dropped_now(gradients[0], {context->saved_data["share"].toDouble(), saved[0], saved[1]}), {}, {}, {}};
  }
};

struct LinearOfKept : torch::autograd::Function<LinearOfKept> {
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x_TI, const torch::Tensor& weight_OI,
                               const torch::Tensor& row_key_T, const torch::Tensor& feature_key_I, double share) {
    const bool learns = weight_OI.requires_grad();
    context->save_for_backward({learns ? x_TI : torch::Tensor(), weight_OI, row_key_T, feature_key_I});
    context->saved_data["share"] = share;
    const torch::Tensor y_TO = torch::empty({x_TI.size(0), weight_OI.size(0)}, x_TI.options());
    for_parts({share, row_key_T, feature_key_I},
              [&](std::int64_t first, std::int64_t count, const torch::Tensor& kept_NI) {
                torch::Tensor part_NO = y_TO.narrow(0, first, count);
                torch::mm_out(part_NO, x_TI.narrow(0, first, count) * kept_NI, weight_OI.t());
              });
    return y_TO.div_(1 - share);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x_TI = saved[0], &weight_OI = saved[1];
    const DropoutMask mask{context->saved_data["share"].toDouble(), saved[2], saved[3]};
    const torch::Tensor dy_TO = gradients[0] / (1 - mask.share);
    torch::Tensor dx_TI, dw_OI;
    if (context->needs_input_grad(0)) dx_TI = torch::empty({dy_TO.size(0), weight_OI.size(1)}, dy_TO.options());
    // Parts add up in a wide type.
    const auto wide = dy_TO.options().dtype(wide_type(dy_TO.scalar_type()));
    if (context->needs_input_grad(1)) dw_OI = torch::zeros(weight_OI.sizes(), wide);
    for_parts(mask, [&](std::int64_t first, std::int64_t count, const torch::Tensor& kept_NI) {
      const torch::Tensor dy_NO = dy_TO.narrow(0, first, count);
      if (dx_TI.defined()) dx_TI.narrow(0, first, count).copy_(torch::mm(dy_NO, weight_OI).mul_(kept_NI));
      if (dw_OI.defined()) dw_OI.add_(torch::mm(dy_NO.t(), x_TI.narrow(0, first, count) * kept_NI));
    });
    if (dw_OI.defined()) dw_OI = dw_OI.to(weight_OI.scalar_type());
    return {dx_TI, dw_OI, {}, {}, {}};
  }
};

}  // namespace

torch::Tensor feature_keys(std::string_view projection, std::int64_t inputs, torch::Device device) {
  std::uint64_t name = projection.size();
  for (const char letter : projection) name = mixed_bits(name, static_cast<unsigned char>(letter));
  std::vector<std::int64_t> keys;
  for (std::int64_t i = 0; i < inputs; ++i) {
    keys.push_back(std::bit_cast<std::int64_t>(mixed_bits(name, static_cast<std::uint64_t>(i))));
  }
  return torch::tensor(keys, torch::kInt64).to(device);
}

torch::Tensor kept_inputs(const DropoutMask& mask) { return kept_of(mask.row_key_T, mask.feature_key_I, mask.share); }

torch::Tensor dropped(const torch::Tensor& x_TI, const DropoutMask& mask) {
  return Dropped::apply(x_TI, mask.row_key_T, mask.feature_key_I, mask.share);
}

torch::Tensor linear_of_kept(const torch::Tensor& x_TI, const torch::Tensor& weight_OI, const DropoutMask& mask) {
  return LinearOfKept::apply(x_TI, weight_OI, mask.row_key_T, mask.feature_key_I, mask.share);
}

}  // namespace equipoise
