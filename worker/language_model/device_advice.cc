#include "worker/language_model/device_advice.h"

#include <c10/util/Exception.h>

#include <array>
#include <cstdio>
#include <functional>
#include <new>
#include <numeric>
#include <regex>
#include <unordered_set>
#include <vector>

#include "equipoise/v1/job.pb.h"
#include "worker/model/adapter_config.h"
#include "worker/model/nf4.h"
#include "worker/model/torch_dtype.h"
#include "worker/model/weight_files.h"
#include "worker/model/wide_type.h"

namespace equipoise {
namespace {

std::int64_t num_elements(const ParameterShape& parameter) {
  return std::accumulate(parameter.shape.begin(), parameter.shape.end(), std::int64_t{1}, std::multiplies());
}

std::int64_t bytes_of(torch::Dtype dtype) { return static_cast<std::int64_t>(c10::elementSize(dtype)); }

std::int64_t divided_up(std::int64_t count, std::int64_t unit) { return (count + unit - 1) / unit; }

std::int64_t nf4_bytes(std::int64_t count) {
  return divided_up(count, 2) + bytes_of(torch::kFloat32) * divided_up(count, kNf4Block);
}

std::int64_t weight_bytes(const ModelConfig& settings, const DecoderConfig& model) {
  std::unordered_set<std::string> quantized;
  if (settings.quantization == Quantization::kNf4) {
    for (const LinearShape& linear : projections(model)) quantized.insert(linear.name + ".weight");
  }
  const std::int64_t each = bytes_of(torch_dtype(settings.dtype));
  std::int64_t bytes = 0;
  for (const ParameterShape& parameter : parameter_layout(model)) {
    const std::int64_t count = num_elements(parameter);
    bytes += quantized.contains(parameter.name) ? nf4_bytes(count) : count * each;
  }
  return bytes;
}

// What the optimiser keeps of one parameter, a master copy not counted.
std::int64_t state_bytes(const OptimizerConfig& optimizer, const ParameterShape& parameter, std::int64_t each) {
  const std::int64_t buffer = num_elements(parameter) * each;
  const bool is_hidden_matrix = parameter.shape.size() == 2 && parameter.name.find(".layers.") != std::string::npos;
  if (optimizer.type == OptimizerType::kSgd) return 0;
  if (optimizer.type == OptimizerType::kRmsProp) return buffer * (optimizer.momentum > 0 ? 2 : 1);
  if (optimizer.type == OptimizerType::kMuon && is_hidden_matrix) return buffer;
  return 2 * buffer + bytes_of(torch::kFloat32);  // AdamW: two moments, and the number of steps
}

// Bytes of a token in one layer: inputs and results of its norms, of attention and of the feed-forward part that the
// backward pass needs. With an adapter the frozen projections do not keep their inputs, A does.
double layer_bytes(const DecoderConfig& model, torch::Dtype dtype, bool trains_weights) {
  const auto each = static_cast<double>(bytes_of(dtype)), wide = static_cast<double>(bytes_of(wide_type(dtype)));
  const auto hidden = static_cast<double>(model.hidden_size);
  const auto heads = static_cast<double>(model.num_heads * model.head_dim);
  // Blocks of queries and keys are padded, and a prompt's keys are there once for each bundle of its answers.
  constexpr double kPadding = 1.3;
  const double norms = model.norm_placement == NormPlacement::kInputAndResult ? 4 : 2;
  const double norm = hidden * (wide + each * (trains_weights ? 2 : 1));
  const double attention = heads * each * (1 + 4 * kPadding);
  const double feed_forward = 4 * static_cast<double>(model.intermediate_size) * each;
  return norms * norm + attention + feed_forward;
}

// Tokens of the largest micro-batch.
std::int64_t largest_micro_batch(const JobConfig& config, int world_size) {
  const std::int64_t longest_pair = 2 * std::int64_t{config.data.max_length};
  if (config.training.full_batch) return std::max(config.training.micro_batch_tokens, longest_pair);
  const std::int64_t pairs = divided_up(config.training.global_batch_size, world_size);
  return std::min(std::max(config.training.micro_batch_tokens, longest_pair), pairs * longest_pair);
}

std::int64_t activation_bytes(const JobConfig& config, const DecoderConfig& model, bool trains_weights,
                              int world_size) {
  const torch::Dtype dtype = torch_dtype(config.model.dtype);
  const auto tokens = static_cast<double>(largest_micro_batch(config, world_size));
  const auto layers = static_cast<double>(model.num_layers);
  const double layer = layer_bytes(model, dtype, trains_weights);
  const double input = static_cast<double>(model.hidden_size) * static_cast<double>(bytes_of(dtype));
  // The backward pass has one layer's gradients beside what was kept.
  const double layers_kept = config.training.gradient_checkpointing ? layers * input + layer : layers * layer;
  return static_cast<std::int64_t>(tokens * (layers_kept + layer));
}

std::optional<LoraSettings> adapter_of(const ModelConfig& model) {
  if (model.lora) return model.lora;
  if (!model.adapter) return std::nullopt;
  return read_adapter_config(*model.adapter / kAdapterConfig);
}

}  // namespace

MemoryEstimate estimate_memory(const JobConfig& config, const DecoderConfig& model,
                               const std::optional<LoraSettings>& adapter, int world_size) {
  const torch::Dtype dtype = torch_dtype(config.model.dtype), wide = wide_type(dtype);
  const std::vector<ParameterShape> trained =
      adapter ? adapter_layout(
                    adapted_projections(model, *adapter, {"model.lora.target_modules", "model.lora.target_pattern"}),
                    *adapter)
              : parameter_layout(model);
  MemoryEstimate estimate{.weights = weight_bytes(config.model, model)};
  for (const ParameterShape& parameter : trained) {
    const std::int64_t count = num_elements(parameter);
    if (adapter) estimate.weights += count * bytes_of(dtype);
    estimate.gradients += count * bytes_of(wide);
    estimate.optimizer += state_bytes(config.optimizer, parameter, bytes_of(wide));
    if (dtype == torch::kBFloat16) estimate.optimizer += count * bytes_of(torch::kFloat32);
  }
  if (config.model.reference) estimate.reference = weight_bytes(config.model, model);
  estimate.activations = activation_bytes(config, model, !adapter, world_size);
  return estimate;
}

MemoryEstimate estimate_memory(const JobConfig& config, int world_size) {
  const DecoderConfig model = read_decoder_config(config.model.path / "config.json");
  return estimate_memory(config, model, adapter_of(config.model), world_size);
}

namespace {

constexpr double kNear = 0.9;  // of what is free

std::string gigabytes(double bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), bytes < 1e8 ? "%.3f GB" : "%.1f GB", bytes / 1e9);
  return text.data();
}
std::string gigabytes(std::int64_t bytes) { return gigabytes(static_cast<double>(bytes)); }

std::string dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return "float64";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat32:
      break;
  }
  return "float32";
}

// Settings that take less memory than the job's, most telling first: "A, B or C".
std::string smaller_settings(const JobConfig& config) {
  std::vector<std::string> ways = {"training.micro_batch_tokens below " +
                                   std::to_string(config.training.micro_batch_tokens)};
  if (!config.training.gradient_checkpointing) ways.emplace_back("training.gradient_checkpointing: true");
  if (config.model.dtype != DType::kBFloat16) ways.emplace_back("model.dtype: bfloat16");
  if (!config.model.lora && !config.model.adapter) ways.emplace_back("an adapter (model.lora)");
  std::string text = ways.front();
  for (std::size_t i = 1; i < ways.size(); ++i) text += (i + 1 == ways.size() ? " or " : ", ") + ways[i];
  return text;
}

// What LibTorch's allocators say, in their own words: on a GPU "Tried to allocate 2.00 GiB. GPU 0 has a total capacity
// of 139.81 GiB of which 1.10 GiB is free.", in host memory "you tried to allocate 123 bytes".
std::string allocation_text(const std::string& message) {
  static const std::regex kGpu(R"(Tried to allocate ([\d.]+ \w+))"), kFree(R"(of which ([\d.]+ \w+) is free)");
  static const std::regex kHost(R"(tried to allocate (\d+) bytes)");
  std::smatch found;
  if (std::regex_search(message, found, kGpu)) {
    std::string text = found[1].str() + " more were wanted";
    if (std::regex_search(message, found, kFree)) text += " and " + found[1].str() + " were free";
    return text;
  }
  if (std::regex_search(message, found, kHost)) return gigabytes(std::stod(found[1].str())) + " more were wanted";
  return "";
}

// Where and how much, "the GPU's memory is used up (...)"; nothing for another failure.
std::optional<std::string> used_up(const std::exception& failure) {
  const auto* const of_torch = dynamic_cast<const c10::Error*>(&failure);
  const std::string message = of_torch != nullptr ? of_torch->what_without_backtrace() : failure.what();
  const bool on_gpu = dynamic_cast<const c10::OutOfMemoryError*>(&failure) != nullptr;
  // LibTorch has no exception of its own for host memory.
  const bool on_host = dynamic_cast<const std::bad_alloc*>(&failure) != nullptr ||
                       (of_torch != nullptr && message.find("DefaultCPUAllocator") != std::string::npos);
  if (!on_gpu && !on_host) return std::nullopt;
  const std::string amount = allocation_text(message);
  return std::string(on_gpu ? "the GPU's memory" : "this machine's memory") + " is used up" +
         (amount.empty() ? "" : " (" + amount + ")");
}

}  // namespace

std::string memory_warning(const MemoryEstimate& estimate, std::size_t free_bytes, const std::string& device,
                           const JobConfig& config) {
  const auto free = static_cast<double>(free_bytes), peak = static_cast<double>(estimate.peak());
  if (free_bytes == 0 || peak <= kNear * free) return {};
  const std::string parts =
      estimate.peak() > estimate.training()
          ? "policy " + gigabytes(estimate.weights) + " and reference " + gigabytes(estimate.reference)
          : "weights " + gigabytes(estimate.weights) + ", gradients " + gigabytes(estimate.gradients) + ", optimiser " +
                gigabytes(estimate.optimizer) + ", activations of a micro-batch about " +
                gigabytes(estimate.activations);
  return "this job wants about " + gigabytes(peak) + " of memory on each rank (" + parts + ") and " + device + " has " +
         gigabytes(free) + " free: it " + (peak > free ? "will probably not fit" : "may not fit") +
         "; less is taken by " + smaller_settings(config);
}

std::string dtype_warning(DType dtype, const std::string& device) {
  if (!device.starts_with("cuda") || dtype == DType::kBFloat16) return {};
  return "model.dtype is " + dtype_name(dtype) + ": on a GPU model.dtype: bfloat16 computes 10 to 15 times as fast";
}

std::optional<std::invalid_argument> out_of_memory(const std::exception& failure, const JobConfig& config) {
  const auto what = used_up(failure);
  if (!what || config.log_linear) return std::nullopt;
  return std::invalid_argument(
      *what + ": training.micro_batch_tokens is " + std::to_string(config.training.micro_batch_tokens) +
      ", training.gradient_checkpointing " + (config.training.gradient_checkpointing ? "true" : "false") +
      ", model.dtype " + dtype_name(config.model.dtype) + "; less is taken by " + smaller_settings(config));
}

std::optional<std::invalid_argument> out_of_memory_of_evaluation(const std::exception& failure) {
  const auto what = used_up(failure);
  if (!what) return std::nullopt;
  return std::invalid_argument(*what + ": less is taken by a smaller --micro-batch-tokens or --dtype bfloat16");
}

}  // namespace equipoise
