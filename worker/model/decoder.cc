#include "worker/model/decoder.h"

#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/config/job_config.h"
#include "worker/model/adapter_config.h"
#include "worker/model/decoder_layer.h"
#include "worker/model/log_prob.h"
#include "worker/model/recomputed.h"
#include "worker/model/tensor_bytes.h"
#include "worker/model/weight_files.h"

namespace equipoise {
namespace {

constexpr char kNf4Code[] = ".nf4_code", kNf4Scale[] = ".nf4_scale";

class TensorsByName {
 public:
  explicit TensorsByName(const std::vector<NamedTensor>& parameters) {
    for (const NamedTensor& parameter : parameters) tensors_.emplace(parameter.name, parameter.tensor);
  }
  // Undefined for the name of nothing.
  torch::Tensor operator[](const std::string& name) const { return name.empty() ? torch::Tensor() : tensors_.at(name); }
  Linear linear(const LinearShape& shape) {
    const std::string bias = shape.has_bias ? shape.name + ".bias" : "";
    const std::string weight = shape.name + ".weight";
    if (!tensors_.contains(weight + kNf4Code)) return {shape.name, (*this)[weight], (*this)[bias]};
    const Nf4Weight nf4{.code_P = (*this)[weight + kNf4Code],
                        .scale_G = (*this)[weight + kNf4Scale],
                        .byte_value_B2 = byte_values_of(weight + kNf4Code),
                        .outputs = shape.outputs,
                        .inputs = shape.inputs};
    return {shape.name, nf4, (*this)[bias]};
  }
  std::vector<Linear> linears(const std::vector<LinearShape>& shapes) {
    std::vector<Linear> result;
    for (const LinearShape& shape : shapes) result.push_back(linear(shape));
    return result;
  }

 private:
  torch::Tensor byte_values_of(const std::string& code) {
    if (!byte_value_B2_.defined()) byte_value_B2_ = nf4_byte_values((*this)[code].device());
    return byte_value_B2_;
  }

  std::unordered_map<std::string, torch::Tensor> tensors_;
  torch::Tensor byte_value_B2_;  // of all weights at four bits
};

DecoderLayer make_layer(const LayerLayout& layout, std::size_t kind, TensorsByName& tensors) {
  return {.kind = kind,
          .attention_norm_H = tensors[layout.attention_norm],
          .attention_result_norm_H = tensors[layout.attention_result_norm],
          .query_key_value = tensors.linears(layout.query_key_value),
          .query_norm_D = tensors[layout.query_norm],
          .key_norm_D = tensors[layout.key_norm],
          .attention_output = tensors.linear(layout.attention_output),
          .mlp_norm_H = tensors[layout.mlp_norm],
          .mlp_result_norm_H = tensors[layout.mlp_result_norm],
          .gate_up = tensors.linears(layout.gate_up),
          .down = tensors.linear(layout.down)};
}

}  // namespace

Decoder::Decoder(DecoderConfig config, std::vector<NamedTensor> parameters)
    : config_(std::move(config)), parameters_(std::move(parameters)) {
  TensorsByName tensors(parameters_);
  embedding_ = tensors[embedding_name(config_)];
  for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) {
    const std::size_t kind = config_.kind_of_layer[static_cast<std::size_t>(layer)];
    layers_.push_back(make_layer(layer_layout(config_, layer), kind, tensors));
  }
  final_norm_ = tensors[final_norm_name(config_)];
  head_weight_ = config_.tied_head ? embedding_ : tensors[kHeadName];
}

namespace {

// Tells of the tensors of a model as they are read.
class TensorsRead {
 public:
  TensorsRead(const std::vector<TensorView>& tensors, const Decoder::LoadProgress& on_progress)
      : on_progress_(on_progress) {
    for (const TensorView& tensor : tensors) all_ += tensor.bytes.size();
  }
  void add(const TensorView& tensor) {
    done_ += tensor.bytes.size();
    if (on_progress_) on_progress_(done_, all_);
  }

 private:
  const Decoder::LoadProgress& on_progress_;
  std::size_t done_ = 0, all_ = 0;
};

}  // namespace

Decoder Decoder::load(const std::filesystem::path& folder, torch::Dtype dtype, torch::Device device,
                      const LoadProgress& on_progress) {
  DecoderConfig config = read_decoder_config(folder / "config.json");
  const WeightFiles files = WeightFiles::open(folder);
  std::vector<NamedTensor> parameters;
  const std::vector<TensorView> views = files.select(parameter_layout(config));
  TensorsRead read(views, on_progress);
  for (const TensorView& view : views) {
    parameters.push_back({view.name, to_torch(view, dtype, device).requires_grad_()});
    read.add(view);
  }
  return {std::move(config), std::move(parameters)};
}

Decoder Decoder::load(const std::filesystem::path& folder, torch::Dtype dtype, torch::Device device,
                      Quantization quantization, const LoadProgress& on_progress) {
  if (quantization == Quantization::kNone) return load(folder, dtype, device, on_progress);
  DecoderConfig config = read_decoder_config(folder / "config.json");
  std::unordered_set<std::string> quantized;
  for (const LinearShape& linear : projections(config)) quantized.insert(linear.name + ".weight");
  const WeightFiles files = WeightFiles::open(folder);
  std::vector<NamedTensor> parameters;
  const std::vector<TensorView> views = files.select(parameter_layout(config));
  TensorsRead read(views, on_progress);
  for (const TensorView& view : views) {
    if (!quantized.contains(view.name)) {
      parameters.push_back({view.name, to_torch(view, dtype, device)});
      read.add(view);
      continue;
    }
    const torch::Tensor weight_OI = to_torch(view, torch::kFloat32, device);
    if (!torch::isfinite(weight_OI).all().item<bool>()) {
      throw std::invalid_argument(folder.string() + ": tensor " + view.name + " has a number that is not finite");
    }
    const Nf4Weight nf4 = quantized_nf4(weight_OI);
    parameters.push_back({view.name + kNf4Code, nf4.code_P});
    parameters.push_back({view.name + kNf4Scale, nf4.scale_G});
    read.add(view);
  }
  return {std::move(config), std::move(parameters)};
}

namespace {

// As far as the narrower of both types tells.
bool is_copy(const torch::Tensor& saved, const torch::Tensor& own) {
  if (saved.sizes() != own.sizes()) return false;
  const torch::Tensor there = saved.to(own.device());
  return torch::equal(there.to(own.scalar_type()), own) || torch::equal(there, own.to(saved.scalar_type()));
}

void check_saved_modules(const LoraAdapter& adapter, const torch::Tensor& embedding, const torch::Tensor& head) {
  for (const auto& [name, saved] : adapter.saved_modules) {
    const torch::Tensor& own = name == kHeadName ? head : embedding;
    if (is_copy(saved, own)) continue;
    throw std::invalid_argument("the adapter has a " + name +
                                " of its own that is not the model's: it was trained or resized too, which an adapter "
                                "here cannot be; merge it with PEFT (merge_and_unload) and give the merged model");
  }
}

}  // namespace

void Decoder::attach(LoraAdapter adapter) {
  EQUIPOISE_CHECK(!adapter_);
  check_saved_modules(adapter, embedding_, head_weight_);
  adapter.saved_modules.clear();
  for (const NamedTensor& parameter : parameters_) parameter.tensor.set_requires_grad(false);
  adapter_ = std::move(adapter);
  std::unordered_map<std::string, Linear*> linear_of;
  for (Linear* const linear : linears()) linear_of.emplace(linear->name(), linear);
  for (std::size_t i = 0; i < adapter_->adapted.size(); ++i) {
    Linear& linear = *linear_of.at(adapter_->adapted[i].name);
    const ProjectionTensors tensors = adapter_->of(i);
    LinearAdapter part{.a_RI = tensors.a_RI,
                       .b_OR = tensors.b_OR,
                       .magnitude_O = tensors.magnitude_O,
                       .scaling = adapter_->settings.scaling(),
                       .dropout = adapter_->settings.dropout};
    linear.adapt(part);
    if (!adapter_->settings.dora || part.magnitude_O.defined()) continue;
    part.magnitude_O = linear.adapted_norm_O().requires_grad_();
    adapter_->tensors[adapter_->tensors_each() * i + 2].tensor = part.magnitude_O;
    linear.adapt(std::move(part));
  }
}

Decoder Decoder::frozen_copy() const {
  const auto copy_of = [](const std::vector<NamedTensor>& tensors) {
    std::vector<NamedTensor> copies;
    for (const auto& [name, tensor] : tensors) copies.push_back({name, tensor.detach().clone()});
    return copies;
  };
  Decoder copy(config_, copy_of(parameters_));
  if (adapter_) copy.attach({adapter_->settings, adapter_->adapted, copy_of(adapter_->tensors), {}});
  return copy;
}

torch::Tensor Decoder::hidden_states(const PackedBatch& batch) const {
  if (batch.largest_token >= config_.vocab_size) {
    throw std::invalid_argument("token id " + std::to_string(batch.largest_token) +
                                " is outside the model's vocabulary of " + std::to_string(config_.vocab_size) +
                                ": the tokenizer belongs to another model");
  }
  const auto plan = std::make_shared<const ForwardPlan>(
      ForwardPlan{plan_attention(config_, batch, embedding_.scalar_type()), batch.row_key_T});
  torch::Tensor x_TH = torch::embedding(embedding_, batch.token_T);
  // As a tensor: in a narrow type the factor is rounded to it, as transformers does.
  if (config_.embedding_scale != 1) x_TH = x_TH * torch::full({}, config_.embedding_scale, x_TH.options());
  for (const DecoderLayer& layer : layers_) {
    const auto apply = [this, &layer, plan](const torch::Tensor& x) { return apply_layer(config_, layer, *plan, x); };
    x_TH = recomputes_layers_ ? recomputed(apply, x_TH) : apply(x_TH);
  }
  return rms_norm(config_, x_TH, final_norm_);
}

torch::Tensor Decoder::logits(const torch::Tensor& hidden_TH) const {
  return head_logits(hidden_TH, head_weight_, config_.logit_softcap);
}

std::vector<Linear*> Decoder::linears() {
  std::vector<Linear*> linears;
  for (DecoderLayer& layer : layers_) {
    for (Linear& linear : layer.query_key_value) linears.push_back(&linear);
    linears.push_back(&layer.attention_output);
    for (Linear& linear : layer.gate_up) linears.push_back(&linear);
    linears.push_back(&layer.down);
  }
  return linears;
}

std::array<std::byte, 32> parameter_digest(const std::vector<NamedTensor>& parameters) {
  Sha256 sha256;
  for (const NamedTensor& parameter : parameters) {
    const torch::Tensor host = parameter.tensor.detach().cpu().contiguous();
    sha256.update({static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()});
  }
  return sha256.finish();
}

}  // namespace equipoise
