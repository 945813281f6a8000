#include "worker/model/decoder_config.h"

#include <cmath>

#include "worker/data/json_file.h"
#include "worker/model/config_fields.h"

namespace equipoise {
namespace {

// Fields of every family that describe the file, the tokenizer, generation or training, but not the function.
void ignore_what_computes_nothing(ConfigFields& fields) {
  fields.ignore({"_name_or_path",
                 "_attn_implementation_autoset",
                 "architectures",
                 "attention_dropout",
                 "auto_map",
                 "bos_token_id",
                 "chunk_size_feed_forward",
                 "dtype",
                 "eos_token_id",
                 "id2label",
                 "initializer_range",
                 "label2id",
                 "max_position_embeddings",
                 "model_type",
                 "output_attentions",
                 "output_hidden_states",
                 "pad_token_id",
                 "problem_type",
                 "return_dict",
                 "tokenizer_class",
                 "torch_dtype",
                 "transformers_version",
                 "use_cache"});
  fields.only("is_encoder_decoder", false);
}

// transformers 5 keeps everything about rotary positions in one object.
double rope_theta(ConfigFields& fields) {
  constexpr double kDefault = 10000;
  const auto theta = fields.positive("rope_theta");
  if (auto scaling = fields.object("rope_scaling")) {
    scaling->only("type", "default");
    scaling->only("rope_type", "default");
    scaling->refuse_rest();
  }
  auto parameters = fields.object("rope_parameters");
  if (!parameters) return theta.value_or(kDefault);
  const auto nested_theta = parameters->positive("rope_theta");
  parameters->only("rope_type", "default");
  parameters->only("type", "default");
  parameters->refuse_rest();
  if (theta && nested_theta && *theta != *nested_theta) {
    fields.refuse("rope_theta", "the same as rope_parameters.rope_theta");
  }
  return nested_theta ? *nested_theta : theta.value_or(kDefault);
}

constexpr std::int64_t kMostLayers = 4096;  // a hostile number would fill memory with names

void read_sizes(ConfigFields& fields, DecoderConfig& config) {
  config.vocab_size = fields.size("vocab_size");
  config.hidden_size = fields.size("hidden_size");
  config.intermediate_size = fields.size("intermediate_size");
  config.num_layers = fields.size("num_hidden_layers");
  config.num_heads = fields.size("num_attention_heads");
  config.num_kv_heads = fields.size("num_key_value_heads");
  config.head_dim = fields.size("head_dim");
  if (config.num_layers > kMostLayers) fields.refuse("num_hidden_layers", "at most " + std::to_string(kMostLayers));
  if (config.num_heads % config.num_kv_heads != 0) {
    fields.refuse("num_key_value_heads", "a divisor of num_attention_heads, " + std::to_string(config.num_heads));
  }
  if (config.head_dim % 2 != 0) fields.refuse("head_dim", "an even number: rotary positions turn pairs");
}

// "gelu" under hidden_act is what the first Gemma releases wrote; transformers reads it as the tanh approximation.
void check_gemma_activation(ConfigFields& fields) {
  const auto legacy = fields.text("hidden_act");
  if (legacy && *legacy != "gelu" && *legacy != "gelu_pytorch_tanh") fields.refuse("hidden_act", "gelu_pytorch_tanh");
  fields.only("hidden_activation", "gelu_pytorch_tanh");
}

DecoderConfig read_gemma(ConfigFields& fields) {
  DecoderConfig config;
  config.model_type = "gemma";
  read_sizes(fields, config);
  check_gemma_activation(fields);
  config.rms_norm_eps = fields.required_positive("rms_norm_eps");
  config.rope_theta = rope_theta(fields);
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  config.attention_bias = fields.flag("attention_bias").value_or(false);
  config.tied_head = fields.flag("tie_word_embeddings").value_or(true);
  fields.only("use_bidirectional_attention", false);
  return config;
}

struct Family {
  const char* model_type;
  DecoderConfig (*read)(ConfigFields& fields);
};
constexpr Family kFamilies[] = {{"gemma", read_gemma}};

std::string supported_types() {
  std::string list;
  for (const Family& family : kFamilies) list += (list.empty() ? "" : ", ") + std::string(family.model_type);
  return list;
}

}  // namespace

DecoderConfig read_decoder_config(const std::filesystem::path& config_json) {
  ConfigFields fields(config_json.string(), read_json_object(config_json));
  const auto model_type = fields.text("model_type");
  for (const Family& family : kFamilies) {
    if (model_type != family.model_type) continue;
    DecoderConfig config = family.read(fields);
    ignore_what_computes_nothing(fields);
    fields.refuse_rest();
    return config;
  }
  fields.refuse("model_type", "one of: " + supported_types());
}

}  // namespace equipoise
