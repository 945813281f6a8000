// What several families say in the same fields, which layers see a sliding window among them.
#pragma once

#include <string_view>
#include <vector>

#include "worker/model/config_fields.h"
#include "worker/model/decoder_config.h"

namespace equipoise {

// What config.json may leave out: num_key_value_heads is then num_attention_heads, head_dim is hidden_size by heads.
enum class Derived { kNothing, kHeadDim, kHeadDimAndKeyValueHeads };

// vocab_size, hidden_size, intermediate_size, layers, heads, head_dim, rms_norm_eps.
void read_sizes(ConfigFields& fields, Derived derived, DecoderConfig& config);

// silu, gelu and its approximations, under `name`; absent is `fallback`.
Activation read_activation(ConfigFields& fields, std::string_view name, Activation fallback);

// A number above 0; absent is `fallback`, null is none.
std::optional<double> read_softcap(ConfigFields& fields, std::string_view name, double fallback);

// 1 / sqrt(head_dim).
double usual_attention_scale(const DecoderConfig& config);

// What Llama, Mistral and Qwen begin with: read_sizes(), hidden_act (silu where absent), tie_word_embeddings (false
// where absent) and the usual scale.
DecoderConfig read_gated_silu(ConfigFields& fields, Derived derived);

// Which layers see everything before a token and which a sliding window of it.

// sliding_window; `fallback` if absent, none if null.
std::optional<std::int64_t> read_window(ConfigFields& fields, std::optional<std::int64_t> fallback);

// layer_types, or `by_default` where it is absent. kAsDefault: a family that has its layers otherwise, so that the
// list may be there but not differ.
enum class LayerTypes { kFree, kAsDefault };
std::vector<bool> read_sliding_layers(ConfigFields& fields, std::vector<bool> by_default, LayerTypes types);

// Fills config.kinds and config.kind_of_layer. Throws if a layer slides and there is no window.
void set_layer_kinds(const ConfigFields& fields, const std::vector<bool>& slides, std::optional<std::int64_t> window,
                     const RotaryTable& full, const RotaryTable& sliding, DecoderConfig& config);

// All layers alike.
void set_one_layer_kind(ConfigFields& fields, std::optional<std::int64_t> window, const RotaryTable& rotary,
                        DecoderConfig& config);

}  // namespace equipoise
