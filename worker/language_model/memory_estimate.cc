#include "worker/language_model/memory_estimate.h"

#include <functional>
#include <numeric>
#include <unordered_set>
#include <vector>

#include "worker/model/adapter_config.h"
#include "worker/model/lora_targets.h"
#include "worker/model/nf4.h"
#include "worker/model/parameter_layout.h"
#include "worker/model/torch_dtype.h"
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

}  // namespace equipoise
