// config.json of a tiny model of every family, with what distinguishes it: windows shorter than the sequences,
// soft-caps, biases, norms of queries and keys, scaled rotary positions, heads that do not add up to the hidden size.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace equipoise {

struct FamilyConfig {
  std::string name;
  nlohmann::json config;
};

inline nlohmann::json tiny_config(const std::string& model_type,
                                  const nlohmann::json& changes = nlohmann::json::object()) {
  nlohmann::json config = {{"model_type", model_type},
                           {"vocab_size", 64},
                           {"hidden_size", 32},
                           {"intermediate_size", 48},
                           {"num_hidden_layers", 3},
                           {"num_attention_heads", 4},
                           {"num_key_value_heads", 2},
                           {"head_dim", 16},
                           {"rms_norm_eps", 1e-6},
                           {"max_position_embeddings", 256},
                           {"tie_word_embeddings", false},
                           {"torch_dtype", "float32"}};
  config.update(changes);
  return config;
}

inline std::vector<FamilyConfig> family_configs() {
  using nlohmann::json;
  const std::vector<double> long_factors(4, 3.0), short_factors = {1.0, 1.1, 1.3, 2.0};
  return {
      {"gemma", tiny_config("gemma", {{"tie_word_embeddings", true}, {"num_key_value_heads", 1}})},
      {"gemma2", tiny_config("gemma2", {{"tie_word_embeddings", true},
                                        {"sliding_window", 5},
                                        {"query_pre_attn_scalar", 12},
                                        {"attn_logit_softcapping", 2.0},
                                        {"final_logit_softcapping", 3.0}})},
      {"gemma3", tiny_config("gemma3_text", {{"tie_word_embeddings", true},
                                             {"sliding_window", 4},
                                             {"sliding_window_pattern", 3},
                                             {"rope_theta", 1e6},
                                             {"rope_local_base_freq", 100.0},
                                             {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}},
                                             {"query_pre_attn_scalar", 12}})},
      {"llama", tiny_config("llama", {{"attention_bias", true},
                                      {"mlp_bias", true},
                                      {"rope_parameters",
                                       {{"rope_type", "llama3"},
                                        {"rope_theta", 1000.0},
                                        {"factor", 8.0},
                                        {"low_freq_factor", 1.0},
                                        {"high_freq_factor", 4.0},
                                        {"original_max_position_embeddings", 64}}}})},
      {"mistral", tiny_config("mistral", {{"sliding_window", 6}})},
      {"phi3",
       tiny_config("phi3", {{"head_dim", nullptr},
                            {"hidden_size", 64},
                            {"partial_rotary_factor", 0.5},
                            {"sliding_window", 7},
                            {"original_max_position_embeddings", 128},
                            {"rope_scaling",
                             {{"type", "longrope"}, {"short_factor", short_factors}, {"long_factor", long_factors}}}})},
      {"qwen2", tiny_config("qwen2", {{"tie_word_embeddings", true},
                                      {"use_sliding_window", true},
                                      {"sliding_window", 5},
                                      {"max_window_layers", 1}})},
      {"qwen3", tiny_config("qwen3", {{"layer_types", {"full_attention", "sliding_attention", "full_attention"}},
                                      {"use_sliding_window", true},
                                      {"sliding_window", 5}})},
  };
}

}  // namespace equipoise
