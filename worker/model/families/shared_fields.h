// What several families say in the same fields.
#pragma once

#include <string_view>

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

// What Llama, Mistral and Qwen begin with: read_sizes(), hidden_act (silu where absent), tie_word_embeddings (false where
// absent) and the usual scale.
DecoderConfig read_gated_silu(ConfigFields& fields, Derived derived);

}  // namespace equipoise
