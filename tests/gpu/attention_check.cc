#include <ATen/Context.h>
#include <ATen/ops/_flash_attention_forward_ops.h>
#include <ATen/ops/_fused_sdp_choice.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>

#include "tests/gpu/check.h"
#include "worker/training/attempt.h"

namespace equipoise::gpu_check {
namespace {

using Clock = std::chrono::steady_clock;

enum class Mask { kCausal, kGiven };

// Blocks as worker/model/attention.cc makes them: D rows of Q queries that see K keys.
struct BlockShape {
  std::int64_t rows, heads, queries, keys, head_dim;
  torch::Dtype dtype;
  Mask mask;

  std::string text() const {
    return std::to_string(rows) + "x" + std::to_string(heads) + "x" + std::to_string(queries) + "x" +
           std::to_string(keys) + "x" + std::to_string(head_dim) + " " + std::string(c10::toString(dtype)) +
           (mask == Mask::kCausal ? " causal" : " mask");
  }
};

// Prompts and answers of Llama 8B (d 128) and of Gemma 2B (d 256).
std::vector<BlockShape> block_shapes(bool is_gpu) {
  std::vector<BlockShape> shapes;
  for (const torch::Dtype dtype : {torch::kBFloat16, torch::kFloat32}) {
    for (const auto& [heads, head_dim] : {std::pair<std::int64_t, std::int64_t>{32, 128}, {8, 256}}) {
      shapes.push_back({16, heads, 512, 512, head_dim, dtype, Mask::kCausal});
      shapes.push_back({16, heads, 256, 768, head_dim, dtype, Mask::kGiven});
    }
  }
  shapes.push_back({2, 32, 61, 1900, 128, torch::kBFloat16, Mask::kGiven});
  shapes.push_back({40, 32, 17, 49, 128, torch::kBFloat16, Mask::kGiven});
  if (is_gpu) return shapes;
  for (BlockShape& shape : shapes) {
    shape = {
        2,           2,         std::min<std::int64_t>(shape.queries, 24), std::min<std::int64_t>(shape.keys, 56), 16,
        shape.dtype, shape.mask};
    if (shape.mask == Mask::kCausal) shape.keys = shape.queries;
  }
  return shapes;
}

const char* backend_name(std::int64_t backend) {
  constexpr const char* kNames[] = {"math", "flash", "efficient", "cudnn", "overridable"};
  return backend < 0 || backend > 4 ? "none" : kNames[backend];
}

struct Inputs {
  torch::Tensor q, k, v, gradient;
  std::optional<torch::Tensor> mask;
};

// Queries at the end of their keys.
torch::Tensor seen(std::int64_t queries, std::int64_t keys, torch::Device device) {
  return torch::ones({queries, keys}, torch::TensorOptions(torch::kBool).device(device)).tril(keys - queries);
}

Inputs make_inputs(const BlockShape& shape, torch::Device device) {
  const auto options = torch::TensorOptions(torch::kFloat32).device(device);
  const auto make = [&](std::int64_t length) {
    return torch::randn({shape.rows, shape.heads, length, shape.head_dim}, options).to(shape.dtype).requires_grad_();
  };
  Inputs inputs{
      .q = make(shape.queries),
      .k = make(shape.keys),
      .v = make(shape.keys),
      .gradient = torch::randn({shape.rows, shape.heads, shape.queries, shape.head_dim}, options).to(shape.dtype),
      .mask = {}};
  if (shape.mask == Mask::kGiven) {
    const torch::Tensor hidden = seen(shape.queries, shape.keys, device).logical_not();
    inputs.mask = torch::zeros(hidden.sizes(), options.dtype(shape.dtype))
                      .masked_fill_(hidden, -std::numeric_limits<double>::infinity())
                      .view({1, 1, shape.queries, shape.keys})
                      .expand({shape.rows, 1, -1, -1})
                      .contiguous();
  }
  return inputs;
}

// Output and gradients of q, k and v.
std::vector<torch::Tensor> attended(const Inputs& inputs) {
  const torch::Tensor out = torch::scaled_dot_product_attention(inputs.q, inputs.k, inputs.v, inputs.mask, 0.0,
                                                                /*is_causal=*/!inputs.mask.has_value());
  auto results = torch::autograd::grad({out}, {inputs.q, inputs.k, inputs.v}, {inputs.gradient});
  results.insert(results.begin(), out);
  return results;
}

// The same by its definition, in float64 on the CPU, of the first row.
std::vector<torch::Tensor> attended_in_float64(const Inputs& inputs) {
  const auto first = [](const torch::Tensor& x) {
    return x.detach().narrow(0, 0, 1).to(torch::kCPU, torch::kFloat64).requires_grad_();
  };
  const torch::Tensor q = first(inputs.q), k = first(inputs.k), v = first(inputs.v);
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  const torch::Tensor hidden = seen(q.size(2), k.size(2), torch::kCPU).logical_not();
  const torch::Tensor score =
      torch::matmul(q, k.transpose(-2, -1)).mul(scale).masked_fill(hidden, -std::numeric_limits<double>::infinity());
  const torch::Tensor out = torch::matmul(torch::softmax(score, -1), v);
  auto results = torch::autograd::grad({out}, {q, k, v}, {first(inputs.gradient).detach()});
  results.insert(results.begin(), out);
  return results;
}

double milliseconds(const CheckDevice& device, const Inputs& inputs) {
  device.synchronize();
  const auto start = Clock::now();
  attended(inputs);
  device.synchronize();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::int64_t chosen_backend(const Inputs& inputs) {
  return at::_fused_sdp_choice(inputs.q, inputs.k, inputs.v, inputs.mask, 0.0, !inputs.mask.has_value());
}

// bfloat16 has 8 bits; LibTorch's float32 kernels do not use TF32 unless they are told to.
double tolerance_of(torch::Dtype dtype) { return dtype == torch::kBFloat16 ? 2e-2 : 1e-4; }

// As LibTorch has it by itself.
class CudnnAttention {
 public:
  CudnnAttention() { at::globalContext().setSDPUseCuDNN(true); }
  ~CudnnAttention() { at::globalContext().setSDPUseCuDNN(false); }
  CudnnAttention(const CudnnAttention&) = delete;
  CudnnAttention& operator=(const CudnnAttention&) = delete;
};

// What the first block of its shape costs with cuDNN: a plan for a shape that it has not seen. Reported only: training
// does not use it.
void measure_cudnn(const CheckDevice& device, const Inputs& inputs, nlohmann::json& row) {
  const CudnnAttention on;
  try {
    row["kernel_with_cudnn"] = backend_name(chosen_backend(inputs));
    row["first_ms_with_cudnn"] = milliseconds(device, inputs);
    row["ms_with_cudnn"] = milliseconds(device, inputs);
  } catch (const std::exception& failure) {
    row["fault_with_cudnn"] = failure_text(failure);
  }
}

nlohmann::json measured(const CheckDevice& device, const BlockShape& shape, Finding& finding) {
  const Inputs inputs = make_inputs(shape, device.device());
  nlohmann::json row = {{"block", shape.text()}, {"kernel", backend_name(chosen_backend(inputs))}};
  row["first_ms"] = milliseconds(device, inputs);
  row["ms"] = milliseconds(device, inputs);
  finding.expect(row["kernel"] != "cudnn", shape.text() + " takes cuDNN's attention, which was switched off");
  const auto ours = attended(inputs), wanted = attended_in_float64(inputs);
  double largest = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    largest = std::max(largest, relative_difference(ours[i].narrow(0, 0, 1), wanted[i]));
  }
  row["difference"] = largest;
  finding.expect(largest < tolerance_of(shape.dtype),
                 shape.text() + " differs from float64 by " + short_number(largest) + " of the largest number");
  measure_cudnn(device, inputs, row);
  return row;
}

// Sequences of a packed batch: Q queries at the end of K keys.
struct Sequence {
  std::int64_t queries, keys;
};

torch::Tensor starts(const std::vector<Sequence>& sequences, std::int64_t Sequence::*length, torch::Device device) {
  std::vector<std::int32_t> starts_S = {0};
  for (const Sequence& sequence : sequences) {
    starts_S.push_back(starts_S.back() + static_cast<std::int32_t>(sequence.*length));
  }
  return torch::tensor(starts_S, torch::kInt32).to(device);
}

// [Tq, heads, d] of q [Tq, heads, d] and k, v [Tk, kv heads, d], one sequence after the other.
torch::Tensor attended_one_by_one(const std::vector<Sequence>& sequences, const torch::Tensor& q,
                                  const torch::Tensor& k, const torch::Tensor& v) {
  std::vector<torch::Tensor> outputs;
  std::int64_t first_query = 0, first_key = 0;
  for (const auto& [queries, keys] : sequences) {
    const auto heads = [&](const torch::Tensor& x, std::int64_t begin, std::int64_t count) {
      return x.narrow(0, begin, count).transpose(0, 1).repeat_interleave(q.size(1) / x.size(1), 0);
    };
    const torch::Tensor hidden = seen(queries, keys, q.device()).logical_not();
    const torch::Tensor score =
        torch::matmul(heads(q, first_query, queries), heads(k, first_key, keys).transpose(-2, -1))
            .div(std::sqrt(static_cast<double>(q.size(2))))
            .masked_fill(hidden, -std::numeric_limits<double>::infinity());
    outputs.push_back(torch::matmul(torch::softmax(score, -1), heads(v, first_key, keys)).transpose(0, 1));
    first_query += queries;
    first_key += keys;
  }
  return torch::cat(outputs);
}

torch::Tensor flash(const std::vector<Sequence>& sequences, const torch::Tensor& q, const torch::Tensor& k,
                    const torch::Tensor& v) {
  std::int64_t longest_q = 0, longest_k = 0;
  for (const auto& [queries, keys] : sequences) {
    longest_q = std::max(longest_q, queries);
    longest_k = std::max(longest_k, keys);
  }
  return std::get<0>(at::_ops::_flash_attention_forward::call(
      q, k, v, starts(sequences, &Sequence::queries, q.device()), starts(sequences, &Sequence::keys, q.device()),
      longest_q, longest_k, /*dropout_p=*/0.0, /*is_causal=*/true, /*return_debug_mask=*/false,
      /*scale=*/std::nullopt, /*window_size_left=*/std::nullopt, /*window_size_right=*/std::nullopt,
      /*seqused_k=*/std::nullopt, /*alibi_slopes=*/std::nullopt));
}

}  // namespace

Finding check_attention(const CheckDevice& device) {
  Finding finding;
  torch::manual_seed(1);
  finding.numbers = nlohmann::json::array();
  std::map<std::string, int> kernels;
  for (const BlockShape& shape : block_shapes(device.is_gpu())) {
    finding.numbers.push_back(measured(device, shape, finding));
    ++kernels[finding.numbers.back()["kernel"].get<std::string>()];
  }
  for (const auto& [kernel, count] : kernels) finding.summary += kernel + " " + std::to_string(count) + "  ";
  return finding;
}

Finding check_varlen(const CheckDevice& device) {
  Finding finding;
  torch::manual_seed(2);
  const std::vector<Sequence> sequences = {{37, 37}, {5, 42}, {1, 38}, {64, 64}, {30, 94}};
  std::int64_t queries = 0, keys = 0;
  for (const Sequence& sequence : sequences) {
    queries += sequence.queries;
    keys += sequence.keys;
  }
  nlohmann::json& rows = finding.numbers = nlohmann::json::array();
  double largest = 0;
  for (const std::int64_t head_dim : {64, 128, 256}) {
    const auto make = [&](std::int64_t tokens, std::int64_t heads) {
      return torch::randn({tokens, heads, head_dim}).to(torch::kBFloat16);
    };
    const torch::Tensor q = make(queries, 8), k = make(keys, 2), v = make(keys, 2);
    const auto on_device = [&](const torch::Tensor& x) { return x.to(device.device()); };
    // A CPU has no such kernel: there bfloat16, sequence by sequence, stands in for it.
    const torch::Tensor ours = device.is_gpu() ? flash(sequences, on_device(q), on_device(k), on_device(v))
                                               : attended_one_by_one(sequences, q, k, v);
    const torch::Tensor wanted =
        attended_one_by_one(sequences, q.to(torch::kFloat64), k.to(torch::kFloat64), v.to(torch::kFloat64));
    const double difference = relative_difference(ours, wanted);
    rows.push_back({{"head_dim", head_dim}, {"difference", difference}});
    largest = std::max(largest, difference);
  }
  finding.expect(largest < 2e-2, "differs from float64 by " + short_number(largest) + " of the largest number");
  finding.summary = "off by " + short_number(largest) + " at most";
  return finding;
}

}  // namespace equipoise::gpu_check
