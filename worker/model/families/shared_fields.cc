#include "worker/model/families/shared_fields.h"

#include <cmath>

#include "worker/model/families/family.h"

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

namespace {

constexpr char kFull[] = "full_attention", kSliding[] = "sliding_attention";

}  // namespace

std::optional<std::int64_t> read_window(ConfigFields& fields, std::optional<std::int64_t> fallback) {
  const auto window = fields.optional_size("sliding_window");
  return window || fields.is_null("sliding_window") ? window : fallback;
}

std::vector<bool> read_sliding_layers(ConfigFields& fields, std::vector<bool> by_default, LayerTypes types) {
  const auto names = fields.texts("layer_types");
  if (!names) return by_default;
  std::vector<bool> slides;
  for (const std::string& name : *names) {
    if (name != kFull && name != kSliding) fields.refuse("layer_types", "full_attention and sliding_attention only");
    slides.push_back(name == kSliding);
  }
  if (slides.size() != by_default.size()) {
    fields.refuse("layer_types", "one for each of the " + std::to_string(by_default.size()) + " layers");
  }
  if (types == LayerTypes::kAsDefault && slides != by_default) {
    fields.refuse("layer_types", std::string("nothing or ") + (by_default.front() ? kSliding : kFull) +
                                     " for every layer: layers of this model_type are alike");
  }
  return slides;
}

void set_layer_kinds(const ConfigFields& fields, const std::vector<bool>& slides, std::optional<std::int64_t> window,
                     const RotaryTable& full, const RotaryTable& sliding, DecoderConfig& config) {
  std::optional<std::size_t> full_kind, sliding_kind;
  for (const bool is_sliding : slides) {
    if (is_sliding && !window) fields.refuse("sliding_window", "a whole number of 1 or more: some layers slide");
    auto& kind = is_sliding ? sliding_kind : full_kind;
    if (!kind) {
      kind = config.kinds.size();
      config.kinds.push_back({.window = is_sliding ? *window : 0, .rotary = is_sliding ? sliding : full});
    }
    config.kind_of_layer.push_back(*kind);
  }
}

void set_one_layer_kind(ConfigFields& fields, std::optional<std::int64_t> window, const RotaryTable& rotary,
                        DecoderConfig& config) {
  const std::vector<bool> alike(static_cast<std::size_t>(config.num_layers), window.has_value());
  set_layer_kinds(fields, read_sliding_layers(fields, alike, LayerTypes::kAsDefault), window, rotary, rotary, config);
}

// The explicit list of what may be ignored: everything that is neither here nor read by a family is refused.

namespace {

void ignore_file_and_library(ConfigFields& fields) {
  fields.ignore({"_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_name_or_path",
                 "architectures", "attn_implementation", "auto_map", "dtype", "is_llama_config", "model_type",
                 "tokenizer_class", "torch_dtype", "torchscript", "transformers.js_config", "transformers_version",
                 "unsloth_fixed", "unsloth_version"});
}

// Dropout is among them: preference optimisation compares two policies, and trains without it.
void ignore_training(ConfigFields& fields) {
  fields.ignore({"attention_dropout", "chunk_size_feed_forward", "embd_pdrop", "finetuning_task", "id2label",
                 "initializer_range", "label2id", "max_position_embeddings", "num_labels", "output_attentions",
                 "output_hidden_states", "problem_type", "resid_pdrop", "return_dict", "use_return_dict"});
}

void ignore_tokens_and_generation(ConfigFields& fields) {
  fields.ignore({"bad_words_ids",
                 "begin_suppress_tokens",
                 "bos_token_id",
                 "cache_implementation",
                 "decoder_start_token_id",
                 "diversity_penalty",
                 "do_sample",
                 "early_stopping",
                 "encoder_no_repeat_ngram_size",
                 "eos_token_id",
                 "exponential_decay_length_penalty",
                 "forced_bos_token_id",
                 "forced_eos_token_id",
                 "is_decoder",
                 "length_penalty",
                 "max_length",
                 "min_length",
                 "no_repeat_ngram_size",
                 "num_beam_groups",
                 "num_beams",
                 "num_return_sequences",
                 "output_scores",
                 "pad_token_id",
                 "prefix",
                 "remove_invalid_values",
                 "repetition_penalty",
                 "return_dict_in_generate",
                 "sep_token_id",
                 "suppress_tokens",
                 "task_specific_params",
                 "temperature",
                 "tie_encoder_decoder",
                 "top_k",
                 "top_p",
                 "typical_p",
                 "use_cache"});
}

}  // namespace

void ignore_what_computes_nothing(ConfigFields& fields) {
  ignore_file_and_library(fields);
  ignore_training(fields);
  ignore_tokens_and_generation(fields);
  fields.only("add_cross_attention", false);
  fields.only("is_encoder_decoder", false);
  fields.only("pruned_heads", nlohmann::json::object());
  fields.only("use_bidirectional_attention", false);
}

}  // namespace equipoise
