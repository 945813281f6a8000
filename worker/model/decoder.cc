#include "worker/model/decoder.h"

#include <stdexcept>
#include <unordered_map>

#include "common/base/sha256.h"
#include "worker/model/parameter_layout.h"
#include "worker/model/tensor_bytes.h"
#include "worker/model/weight_files.h"

namespace equipoise {
namespace {

using TensorsByName = std::unordered_map<std::string, torch::Tensor>;

LayerWeights layer_weights(const TensorsByName& tensors, const std::string& prefix) {
  const auto tensor = [&](const std::string& name) {
    const auto found = tensors.find(prefix + name);
    return found == tensors.end() ? torch::Tensor() : found->second;
  };
  const auto linear = [&](const std::string& name) {
    return Linear{.weight = tensor(name + ".weight"), .bias = tensor(name + ".bias")};
  };
  return {.input_norm = tensor("input_layernorm.weight"),
          .post_attention_norm = tensor("post_attention_layernorm.weight"),
          .q = linear("self_attn.q_proj"),
          .k = linear("self_attn.k_proj"),
          .v = linear("self_attn.v_proj"),
          .o = linear("self_attn.o_proj"),
          .gate = linear("mlp.gate_proj"),
          .up = linear("mlp.up_proj"),
          .down = linear("mlp.down_proj")};
}

}  // namespace

Decoder::Decoder(DecoderConfig config, std::vector<NamedTensor> parameters)
    : config_(std::move(config)), parameters_(std::move(parameters)) {
  TensorsByName tensors;
  for (const NamedTensor& parameter : parameters_) tensors.emplace(parameter.name, parameter.tensor);
  embedding_ = tensors.at("model.embed_tokens.weight");
  for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) {
    layers_.push_back(layer_weights(tensors, layer_prefix(layer)));
  }
  final_norm_ = tensors.at("model.norm.weight");
  head_weight_ = config_.tied_head ? embedding_ : tensors.at(kHeadName);
}

Decoder Decoder::load(const std::filesystem::path& folder, torch::Dtype dtype, torch::Device device) {
  DecoderConfig config = read_decoder_config(folder / "config.json");
  const WeightFiles files = WeightFiles::open(folder);
  std::vector<NamedTensor> parameters;
  for (const TensorView& view : files.select(parameter_layout(config))) {
    parameters.push_back({view.name, to_torch(view, dtype, device).requires_grad_()});
  }
  return {std::move(config), std::move(parameters)};
}

Decoder Decoder::frozen_copy() const {
  std::vector<NamedTensor> copies;
  for (const NamedTensor& parameter : parameters_) {
    copies.push_back({parameter.name, parameter.tensor.detach().clone()});
  }
  return {config_, std::move(copies)};
}

torch::Tensor Decoder::hidden_states(const PackedBatch& batch) const {
  if (batch.largest_token >= config_.vocab_size) {
    throw std::invalid_argument("token id " + std::to_string(batch.largest_token) +
                                " is outside the model's vocabulary of " + std::to_string(config_.vocab_size) +
                                ": the tokenizer belongs to another model");
  }
  const AttentionPlan plan = plan_attention(config_, batch, embedding_.scalar_type());
  torch::Tensor x_TH = torch::embedding(embedding_, batch.token_T);
  if (config_.embedding_scale != 1) x_TH = x_TH * config_.embedding_scale;
  for (const LayerWeights& layer : layers_) x_TH = decoder_layer(config_, layer, plan, x_TH);
  return rms_norm(config_, x_TH, final_norm_);
}

std::array<std::byte, 32> parameter_digest(const std::vector<NamedTensor>& parameters) {
  Sha256 sha256;
  for (const NamedTensor& parameter : parameters) {
    const torch::Tensor host = parameter.tensor.detach().cpu().contiguous();
    sha256.update(view_of(parameter.name, host).bytes);
  }
  return sha256.finish();
}

}  // namespace equipoise
