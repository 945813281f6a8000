#include "worker/model/families/shared_fields.h"

#include <cmath>

namespace equipoise {
namespace {

constexpr std::int64_t kMostLayers = 4096;  // a hostile number would fill memory with names

void read_heads(ConfigFields& fields, Derived derived, DecoderConfig& config) {
  config.num_heads = fields.size("num_attention_heads");
  config.num_kv_heads = derived == Derived::kHeadDimAndKeyValueHeads
                            ? fields.optional_size("num_key_value_heads").value_or(config.num_heads)
                            : fields.size("num_key_value_heads");
  if (config.num_heads % config.num_kv_heads != 0) {
    fields.refuse("num_key_value_heads", "a divisor of num_attention_heads, " + std::to_string(config.num_heads));
  }
  const auto head_dim = fields.optional_size("head_dim");
  if (!head_dim && derived == Derived::kNothing) fields.refuse("head_dim", "a whole number from 1 to 2147483647");
  if (!head_dim && config.hidden_size % config.num_heads != 0) {
    fields.refuse("head_dim", "a whole number: hidden_size is no multiple of num_attention_heads");
  }
  config.head_dim = head_dim.value_or(config.hidden_size / config.num_heads);
  if (config.head_dim % 2 != 0) {
    fields.refuse("head_dim",
                  "an even number, not " + std::to_string(config.head_dim) + ": rotary positions turn pairs");
  }
}

}  // namespace

void read_sizes(ConfigFields& fields, Derived derived, DecoderConfig& config) {
  config.vocab_size = fields.size("vocab_size");
  config.hidden_size = fields.size("hidden_size");
  config.intermediate_size = fields.size("intermediate_size");
  config.num_layers = fields.size("num_hidden_layers");
  if (config.num_layers > kMostLayers) fields.refuse("num_hidden_layers", "at most " + std::to_string(kMostLayers));
  read_heads(fields, derived, config);
  config.rms_norm_eps = fields.required_positive("rms_norm_eps");
}

Activation read_activation(ConfigFields& fields, std::string_view name, Activation fallback) {
  const auto text = fields.text(name);
  if (!text) return fallback;
  if (*text == "silu" || *text == "swish") return Activation::kSilu;
  if (*text == "gelu") return Activation::kGelu;
  if (*text == "gelu_pytorch_tanh" || *text == "gelu_new") return Activation::kGeluTanh;
  fields.refuse(name, "one of: silu, swish, gelu, gelu_pytorch_tanh, gelu_new");
}

std::optional<double> read_softcap(ConfigFields& fields, std::string_view name, double fallback) {
  const auto softcap = fields.positive(name);
  if (softcap || fields.is_null(name)) return softcap;
  return fallback;
}

double usual_attention_scale(const DecoderConfig& config) {
  return 1 / std::sqrt(static_cast<double>(config.head_dim));
}

DecoderConfig read_gated_silu(ConfigFields& fields, Derived derived) {
  DecoderConfig config;
  read_sizes(fields, derived, config);
  config.attention_scale = usual_attention_scale(config);
  config.activation = read_activation(fields, "hidden_act", Activation::kSilu);
  config.tied_head = fields.flag("tie_word_embeddings").value_or(false);
  return config;
}

}  // namespace equipoise
