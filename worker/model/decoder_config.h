// What a decoder computes, read from a Hugging Face config.json. One decoder serves every family: a family is a
// set of values here, so a new one is a new reader in decoder_config.cc and, where its mathematics is new, a new field.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace equipoise {

enum class Activation { kGeluTanh };  // tanh approximation of GELU

// The factor of an RMS norm: kOnePlusWeight is x / rms(x) * (1 + w).
enum class NormScale { kOnePlusWeight };

struct DecoderConfig {
  std::string model_type;
  std::int64_t vocab_size = 0;         // V
  std::int64_t hidden_size = 0;        // H
  std::int64_t intermediate_size = 0;  // of the gated feed-forward part
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;  // divides num_heads
  std::int64_t head_dim = 0;      // even
  double rms_norm_eps = 0;
  double rope_theta = 0;
  double embedding_scale = 1;  // factor of the token embeddings
  Activation activation = Activation::kGeluTanh;
  NormScale norm_scale = NormScale::kOnePlusWeight;
  bool attention_bias = false;  // of the four projections
  bool tied_head = false;       // the head's weight is the embedding
};

// Both key layouts: transformers 4 (rope_theta, rope_scaling) and 5 (rope_parameters).
// Throws std::invalid_argument "FILE: field ... is ..., expected ...": an unsupported model_type (with the list of
// supported ones), a field missing or out of range, and any field that may change the mathematics and is not known.
DecoderConfig read_decoder_config(const std::filesystem::path& config_json);

}  // namespace equipoise
