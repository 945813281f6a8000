#include "worker/model/lora_adapter.h"

#include <cmath>
#include <numbers>
#include <random>
#include <set>
#include <stdexcept>
#include <string_view>

#include "common/base/durable_file.h"
#include "common/base/message_text.h"
#include "common/huggingface/safetensors.h"
#include "worker/model/adapter_config.h"
#include "worker/model/model_folder.h"
#include "worker/model/tensor_bytes.h"

namespace equipoise {
namespace {

namespace fs = std::filesystem;

// In [0, 1), the same with every standard library.
double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

// Box and Muller.
double normal(std::mt19937_64& random) {
  const double radius = std::sqrt(-2 * std::log1p(-uniform(random)));
  return radius * std::cos(2 * std::numbers::pi * uniform(random));
}

// PEFT's kaiming_uniform_ with a = sqrt(5) is uniform in +-1/sqrt(inputs).
torch::Tensor initial_a(const LoraSettings& settings, std::int64_t inputs, std::mt19937_64& random) {
  const torch::Tensor a_RI = torch::empty({settings.r, inputs}, torch::kFloat64);
  double* const value = a_RI.data_ptr<double>();
  const double bound = 1 / std::sqrt(static_cast<double>(inputs)), deviation = 1 / static_cast<double>(settings.r);
  for (std::int64_t i = 0; i < a_RI.numel(); ++i) {
    value[i] = settings.init == LoraInit::kGaussian ? deviation * normal(random) : bound * (2 * uniform(random) - 1);
  }
  return a_RI;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

const TensorView& checked_tensor(const SafetensorsFile& file, const ParameterShape& wanted) {
  const TensorView* const view = file.find(wanted.name);
  if (view == nullptr) throw std::invalid_argument(file.path().string() + ": tensor " + wanted.name + " is missing");
  if (view->shape == wanted.shape) return *view;
  throw std::invalid_argument(file.path().string() + ": tensor " + wanted.name + " has shape " +
                              shape_text(view->shape) + ", expected " + shape_text(wanted.shape) +
                              " by adapter_config.json and the model");
}

// Converted once it is known that all of it are numbers: a NaN would be in every logit and train nothing.
torch::Tensor finite_tensor(const SafetensorsFile& file, const TensorView& view, torch::Dtype dtype,
                            torch::Device device) {
  const torch::Tensor tensor = to_torch(view, torch_dtype_of(view), torch::kCPU);
  if (torch::isfinite(tensor).all().item<bool>()) return tensor.to(device, dtype);
  throw std::invalid_argument(
      file.path().string() + ": tensor " + view.name +
      " has a number that is not finite: the training that made it failed, take an earlier one");
}

// "lm_head.weight" of "base_model.model.lm_head.weight" or PEFT's other names for it; empty for what is no embedding or
// head.
std::string saved_module_of(const std::string& tensor, const DecoderConfig& config) {
  if (!tensor.starts_with(kPeftPrefix)) return "";
  std::string name = tensor.substr(kPeftPrefix.size());
  for (const std::string_view inner : {".modules_to_save.default", ".modules_to_save", ".base_layer"}) {
    if (const std::size_t place = name.find(inner); place != std::string::npos) name.erase(place, inner.size());
  }
  return name == embedding_name(config) || name == kHeadName ? name : "";
}

// What is there beside `layout`: copies of embedding and head, and nothing else.
std::vector<NamedTensor> saved_modules(const SafetensorsFile& file, const std::vector<ParameterShape>& layout,
                                       const DecoderConfig& config) {
  std::set<std::string> names;
  for (const ParameterShape& parameter : layout) names.insert(parameter.name);
  std::vector<NamedTensor> saved;
  for (const TensorView& tensor : file.tensors()) {
    if (names.contains(tensor.name)) continue;
    const std::string module = saved_module_of(tensor.name, config);
    if (module.empty()) {
      throw std::invalid_argument(file.path().string() + ": tensor " + quoted_text(tensor.name) +
                                  " has no place in the adapter that adapter_config.json describes");
    }
    saved.push_back({module, to_torch(tensor, torch_dtype_of(tensor), torch::kCPU)});
  }
  return saved;
}

// Whole names in place of a pattern, which in PEFT might match modules that are no projection.
std::vector<std::string> saved_targets(const LoraAdapter& adapter) {
  if (adapter.settings.target_pattern.empty()) {
    const auto& names = adapter.settings.target_modules;
    return names.empty() ? last_names(adapter.adapted) : names;
  }
  std::vector<std::string> names;
  for (const LinearShape& linear : adapter.adapted) names.push_back(linear.name);
  return names;
}

}  // namespace

LoraAdapter new_adapter(const DecoderConfig& config, const LoraSettings& settings, std::uint64_t seed,
                        torch::Dtype dtype, torch::Device device) {
  LoraAdapter adapter{
      .settings = settings,
      .adapted = adapted_projections(config, settings, {"model.lora.target_modules", "model.lora.target_pattern"}),
      .tensors = {}};
  std::mt19937_64 random(seed);
  const std::vector<ParameterShape> layout = adapter_layout(adapter.adapted, settings);
  for (std::size_t i = 0; i < adapter.adapted.size(); ++i) {
    const ParameterShape* const of = &layout[adapter.tensors_each() * i];
    const torch::Tensor a_RI = initial_a(settings, adapter.adapted[i].inputs, random);
    const torch::Tensor b_OR = torch::zeros(of[1].shape, torch::kFloat64);
    adapter.tensors.push_back({of[0].name, a_RI.to(device, dtype).requires_grad_()});
    adapter.tensors.push_back({of[1].name, b_OR.to(device, dtype).requires_grad_()});
    if (settings.dora) adapter.tensors.push_back({of[2].name, torch::Tensor()});
  }
  return adapter;
}

ProjectionTensors LoraAdapter::of(std::size_t i) const {
  const NamedTensor* const first = &tensors[tensors_each() * i];
  return {.a_RI = first[0].tensor,
          .b_OR = first[1].tensor,
          .magnitude_O = settings.dora ? first[2].tensor : torch::Tensor()};
}

LoraAdapter load_adapter(const fs::path& folder, const DecoderConfig& config, torch::Dtype dtype,
                         torch::Device device) {
  const fs::path description = folder / kAdapterConfig;
  LoraAdapter adapter{.settings = read_adapter_config(description), .adapted = {}, .tensors = {}};
  const std::string field = description.string() + ": field target_modules";
  const SafetensorsFile file = SafetensorsFile::open(folder / kAdapterWeights);
  if (!adapter.settings.target_pattern.empty()) {
    std::set<std::string> tensors;
    for (const TensorView& tensor : file.tensors()) tensors.insert(tensor.name);
    adapter.adapted = projections_with_tensors(config, tensors);
  }
  // A pattern that no tensor follows is named with its fault.
  if (adapter.adapted.empty()) adapter.adapted = adapted_projections(config, adapter.settings, {field, field});
  const std::vector<ParameterShape> layout = adapter_layout(adapter.adapted, adapter.settings);
  for (const ParameterShape& wanted : layout) {
    const torch::Tensor tensor = finite_tensor(file, checked_tensor(file, wanted), dtype, device);
    adapter.tensors.push_back({wanted.name, tensor.requires_grad_()});
  }
  adapter.saved_modules = saved_modules(file, layout, config);
  return adapter;
}

void write_adapter_files(const LoraAdapter& adapter, const fs::path& base_model, const fs::path& folder) {
  write_durably(folder / kAdapterConfig, adapter_config_text(adapter.settings, saved_targets(adapter), base_model));
  copy_companions(base_model, folder);
}

void save_adapter(const LoraAdapter& adapter, const fs::path& base_model, const fs::path& target,
                  const std::function<void(std::int64_t)>& on_bytes) {
  DurableFolder aside(target);
  write_adapter_files(adapter, base_model, aside.path());
  write_tensors(adapter.tensors, aside / kAdapterWeights, on_bytes);
  aside.commit();
}

}  // namespace equipoise
