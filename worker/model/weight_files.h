// Names and shapes of a decoder's parameters, as Hugging Face writes them, and the files of a folder that hold them:
// model.safetensors, or those that model.safetensors.index.json names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/huggingface/safetensors.h"
#include "worker/model/decoder_config.h"

namespace equipoise {

struct ParameterShape {
  std::string name;
  std::vector<std::int64_t> shape;
};

// A linear projection by the name of its module, "model.layers.0.self_attn.q_proj": its tensors are NAME.weight
// [outputs, inputs] and, where it has one, NAME.bias [outputs].
struct LinearShape {
  std::string name;
  std::int64_t outputs = 0, inputs = 0;
  bool has_bias = false;
};

// One layer in the order of the forward pass. Norms are names of tensors, empty where there is none.
struct LayerLayout {
  std::string attention_norm, attention_result_norm;  // [H]
  std::vector<LinearShape> query_key_value;           // three, or one that is fused
  std::string query_norm, key_norm;                   // [head_dim]
  LinearShape attention_output;
  std::string mlp_norm, mlp_result_norm;  // [H]
  std::vector<LinearShape> gate_up;       // two, or one that is fused
  LinearShape down;
};
LayerLayout layer_layout(const DecoderConfig& config, std::int64_t layer);

std::string embedding_name(const DecoderConfig& config);
std::string final_norm_name(const DecoderConfig& config);
inline constexpr char kHeadName[] = "lm_head.weight";

// Each trained tensor once, in the order of the forward pass, the embedding first. A tied head is the embedding.
std::vector<ParameterShape> parameter_layout(const DecoderConfig& config);

class WeightFiles {
 public:
  // Throws std::invalid_argument naming the file and the fault: none of both is there, an index that is not one or
  // that names a file outside the folder, a tensor in two files.
  static WeightFiles open(const std::filesystem::path& folder);

  // The tensors of `layout`, in its order. Where the head is tied, a copy of the embedding under the head's name is
  // left out, and so are tables of rotary frequencies. Throws std::invalid_argument naming file and tensor: missing,
  // superfluous, or of another shape.
  std::vector<TensorView> select(const std::vector<ParameterShape>& layout) const;

  // Every tensor there is, ascending by name.
  std::vector<TensorView> all() const;

 private:
  void add(const std::filesystem::path& path);
  bool is_copy_of_tied_head(const TensorView& tensor, const std::vector<ParameterShape>& layout) const;

  std::filesystem::path named_by_;  // the file that says what there is
  std::vector<SafetensorsFile> files_;
  struct Entry {
    std::size_t file;
    TensorView tensor;
  };
  std::map<std::string, Entry> tensors_;
};

}  // namespace equipoise
