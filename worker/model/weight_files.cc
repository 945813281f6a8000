#include "worker/model/weight_files.h"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"
#include "worker/data/json_file.h"

namespace equipoise {
namespace {

std::vector<LinearShape> query_key_value(const DecoderConfig& config, const std::string& prefix) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t q_width = config.num_heads * config.head_dim, kv_width = config.num_kv_heads * config.head_dim;
  if (config.fused_projections) return {{prefix + "qkv_proj", q_width + 2 * kv_width, hidden, config.qkv_bias}};
  return {{prefix + "q_proj", q_width, hidden, config.qkv_bias},
          {prefix + "k_proj", kv_width, hidden, config.qkv_bias},
          {prefix + "v_proj", kv_width, hidden, config.qkv_bias}};
}

std::vector<LinearShape> gate_up(const DecoderConfig& config, const std::string& prefix) {
  const std::int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  if (config.fused_projections) return {{prefix + "gate_up_proj", 2 * wide, hidden, config.mlp_bias}};
  return {{prefix + "gate_proj", wide, hidden, config.mlp_bias}, {prefix + "up_proj", wide, hidden, config.mlp_bias}};
}

class ShapeList {
 public:
  void norm(const std::string& name, std::int64_t width) {
    if (!name.empty()) shapes_.push_back({name, {width}});
  }
  void linear(const LinearShape& linear) {
    shapes_.push_back({linear.name + ".weight", {linear.outputs, linear.inputs}});
    if (linear.has_bias) shapes_.push_back({linear.name + ".bias", {linear.outputs}});
  }
  void matrix(const std::string& name, std::int64_t rows, std::int64_t columns) {
    shapes_.push_back({name, {rows, columns}});
  }
  std::vector<ParameterShape> take() { return std::move(shapes_); }

 private:
  std::vector<ParameterShape> shapes_;
};

void add_layer(const DecoderConfig& config, const LayerLayout& layer, ShapeList& shapes) {
  shapes.norm(layer.attention_norm, config.hidden_size);
  for (const LinearShape& linear : layer.query_key_value) shapes.linear(linear);
  shapes.norm(layer.query_norm, config.head_dim);
  shapes.norm(layer.key_norm, config.head_dim);
  shapes.linear(layer.attention_output);
  shapes.norm(layer.attention_result_norm, config.hidden_size);
  shapes.norm(layer.mlp_norm, config.hidden_size);
  for (const LinearShape& linear : layer.gate_up) shapes.linear(linear);
  shapes.linear(layer.down);
  shapes.norm(layer.mlp_result_norm, config.hidden_size);
}

}  // namespace

LayerLayout layer_layout(const DecoderConfig& config, std::int64_t layer) {
  const std::string prefix = config.name_prefix + "layers." + std::to_string(layer) + ".";
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  const std::int64_t q_width = config.num_heads * config.head_dim;
  LayerLayout layout;
  layout.attention_norm = prefix + "input_layernorm.weight";
  layout.query_key_value = query_key_value(config, attention);
  layout.attention_output = {attention + "o_proj", config.hidden_size, q_width, config.output_bias};
  layout.gate_up = gate_up(config, mlp);
  layout.down = {mlp + "down_proj", config.hidden_size, config.intermediate_size, config.mlp_bias};
  if (config.query_key_norm) {
    layout.query_norm = attention + "q_norm.weight";
    layout.key_norm = attention + "k_norm.weight";
  }
  // The same name for two places: Gemma 2's files normalise attention's result where others normalise the next input.
  const std::string post_attention = prefix + "post_attention_layernorm.weight";
  if (config.norm_placement == NormPlacement::kInput) {
    layout.mlp_norm = post_attention;
  } else {
    layout.attention_result_norm = post_attention;
    layout.mlp_norm = prefix + "pre_feedforward_layernorm.weight";
    layout.mlp_result_norm = prefix + "post_feedforward_layernorm.weight";
  }
  return layout;
}

std::string embedding_name(const DecoderConfig& config) { return config.name_prefix + "embed_tokens.weight"; }

std::string final_norm_name(const DecoderConfig& config) { return config.name_prefix + "norm.weight"; }

std::vector<ParameterShape> parameter_layout(const DecoderConfig& config) {
  ShapeList shapes;
  shapes.matrix(embedding_name(config), config.vocab_size, config.hidden_size);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    add_layer(config, layer_layout(config, layer), shapes);
  }
  shapes.norm(final_norm_name(config), config.hidden_size);
  if (!config.tied_head) shapes.matrix(kHeadName, config.vocab_size, config.hidden_size);
  return shapes.take();
}

namespace {

namespace fs = std::filesystem;

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

// The files named by the index, each once.
std::set<std::string> indexed_files(const fs::path& index) {
  const auto json = read_json_object(index);
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object() || map->empty()) {
    throw std::invalid_argument(index.string() + ": field weight_map is missing or not an object of tensor to file");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || fs::path(name).filename() != name || name == "." || name == "..") {
      throw std::invalid_argument(index.string() + ": the file of tensor " + quoted_text(tensor) + " is " +
                                  quoted_text(file.dump()) + ", expected the name of a file in the same folder");
    }
    names.insert(name);
  }
  return names;
}

// Early Llama files hold the frequencies of rotary positions too, which config.json determines.
bool is_rotary_table(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

}  // namespace

WeightFiles WeightFiles::open(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  WeightFiles weights;
  if (fs::exists(single)) {
    weights.named_by_ = single;
    weights.add(single);
  } else if (fs::exists(index)) {
    weights.named_by_ = index;
    for (const std::string& name : indexed_files(index)) weights.add(folder / name);
  } else {
    throw std::invalid_argument(folder.string() + " has neither model.safetensors nor model.safetensors.index.json");
  }
  return weights;
}

void WeightFiles::add(const fs::path& path) {
  files_.push_back(SafetensorsFile::open(path));
  for (const TensorView& tensor : files_.back().tensors()) {
    const auto [entry, is_new] = tensors_.emplace(tensor.name, Entry{.file = files_.size() - 1, .tensor = tensor});
    if (is_new) continue;
    throw std::invalid_argument(path.string() + ": tensor " + quoted_text(tensor.name) + " is in " +
                                files_[entry->second.file].path().string() + " too");
  }
}

bool WeightFiles::is_copy_of_tied_head(const TensorView& tensor, const std::vector<ParameterShape>& layout) const {
  if (tensor.name != kHeadName) return false;
  const auto embedding = tensors_.find(layout.front().name);
  return embedding != tensors_.end() && embedding->second.tensor.dtype == tensor.dtype &&
         std::ranges::equal(embedding->second.tensor.bytes, tensor.bytes);
}

std::vector<TensorView> WeightFiles::select(const std::vector<ParameterShape>& layout) const {
  std::vector<TensorView> selected;
  std::set<std::string> wanted;
  for (const ParameterShape& parameter : layout) {
    const auto found = tensors_.find(parameter.name);
    if (found == tensors_.end()) {
      throw std::invalid_argument(named_by_.string() + ": tensor " + parameter.name + " is missing");
    }
    const TensorView& tensor = found->second.tensor;
    if (tensor.shape != parameter.shape) {
      throw std::invalid_argument(files_[found->second.file].path().string() + ": tensor " + parameter.name +
                                  " has shape " + shape_text(tensor.shape) + ", expected " +
                                  shape_text(parameter.shape) + " by config.json");
    }
    selected.push_back(tensor);
    wanted.insert(parameter.name);
  }
  for (const auto& [name, entry] : tensors_) {
    if (wanted.contains(name) || is_rotary_table(name) || is_copy_of_tied_head(entry.tensor, layout)) continue;
    throw std::invalid_argument(files_[entry.file].path().string() + ": tensor " + quoted_text(name) +
                                " has no place in the model that config.json describes");
  }
  return selected;
}

std::vector<TensorView> WeightFiles::all() const {
  std::vector<TensorView> views;
  for (const auto& [name, entry] : tensors_) views.push_back(entry.tensor);
  return views;
}

}  // namespace equipoise
