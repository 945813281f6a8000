// What a decoder computes, as data. One decoder serves every family: a family is a table from its config.json to the
// values here (families/), so a new one is a new table and, where its mathematics is new, a new value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace equipoise {

enum class Activation { kSilu, kGelu, kGeluTanh };  // of the gate; the last is GELU's tanh approximation

// The factor of an RMS norm: x / rms(x) times w, or times (1 + w).
enum class NormScale { kWeight, kOnePlusWeight };

// What is normalised: the input of attention and feed-forward part, or their result as well, before it is added.
enum class NormPlacement { kInput, kInputAndResult };

// Llama 3: frequencies of long waves are divided by `factor`, those of short waves stay, between them a blend.
struct Llama3Scaling {
  double factor = 1, low_freq_factor = 1, high_freq_factor = 1, original_positions = 1;
};

// The frequencies of rotary positions: theta^(-2j / dim), j in [0, dim / 2), changed as the rest says.
struct RotaryTable {
  double theta = 10000;
  std::int64_t dim = 0;           // the first dimensions of a head, which turn; the others stay. Even
  double divisor = 1;             // of every frequency (linear scaling)
  std::vector<double> divisor_F;  // [dim / 2] of each frequency, or empty (longrope, yarn)
  std::optional<Llama3Scaling> llama3 = {};
  double magnitude = 1;  // factor of cosine and sine (longrope, yarn)
  // Longer sequences are refused, 0: none. Beyond it dynamic scaling and longrope turn by angles that depend on the
  // longest sequence of a batch, so that a log-prob would depend on its neighbours.
  std::int64_t longest_sequence = 0;
  std::string type = "default";  // as config.json calls it
};

// What distinguishes layers of one model.
struct LayerKind {
  std::int64_t window = 0;  // keys a query sees, itself included, counted in positions; 0: all before it
  RotaryTable rotary;
};

struct DecoderConfig {
  std::string model_type;
  std::string name_prefix = "model.";  // of all tensors but the head
  std::int64_t vocab_size = 0;         // V
  std::int64_t hidden_size = 0;        // H
  std::int64_t intermediate_size = 0;  // of the gated feed-forward part
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;  // divides num_heads
  std::int64_t head_dim = 0;      // even; heads * head_dim need not be hidden_size

  double rms_norm_eps = 0;
  NormScale norm_scale = NormScale::kWeight;
  NormPlacement norm_placement = NormPlacement::kInput;
  bool query_key_norm = false;  // of each head of queries and keys, before they turn

  double embedding_scale = 1;  // factor of the token embeddings
  double attention_scale = 1;  // factor of query times key
  // c: z becomes c tanh(z / c), for attention scores and for logits.
  std::optional<double> attention_softcap = {}, logit_softcap = {};
  Activation activation = Activation::kSilu;

  bool qkv_bias = false, output_bias = false, mlp_bias = false;
  bool fused_projections = false;  // qkv_proj and gate_up_proj, each one matrix
  bool tied_head = false;          // the head's weight is the embedding

  std::vector<LayerKind> kinds;            // those that occur
  std::vector<std::size_t> kind_of_layer;  // [num_layers] position in kinds
};

// Both key layouts: transformers 4 (rope_theta, rope_scaling, torch_dtype) and 5 (rope_parameters, dtype, layer_types).
// Throws std::invalid_argument "FILE: field ... is ..., expected ...": an unsupported model_type (with the list of
// supported ones), a field missing or out of range, and any field that may change the mathematics and is not known.
DecoderConfig read_decoder_config(const std::filesystem::path& config_json);

}  // namespace equipoise
