// The families of decoders: for each model_type how its config.json becomes a DecoderConfig.
#pragma once

#include "worker/model/config_fields.h"
#include "worker/model/decoder_config.h"

namespace equipoise {

// Each takes the fields that its family's function depends on, with the defaults that transformers gives them.
DecoderConfig read_gemma(ConfigFields& fields);
DecoderConfig read_gemma2(ConfigFields& fields);
DecoderConfig read_gemma3_text(ConfigFields& fields);
DecoderConfig read_llama(ConfigFields& fields);
DecoderConfig read_mistral(ConfigFields& fields);
DecoderConfig read_phi3(ConfigFields& fields);
DecoderConfig read_qwen2(ConfigFields& fields);
DecoderConfig read_qwen3(ConfigFields& fields);

struct Family {
  const char* model_type;
  DecoderConfig (*read)(ConfigFields& fields);
};

inline constexpr Family kFamilies[] = {
    {"gemma", read_gemma}, {"gemma2", read_gemma2},   {"gemma3_text", read_gemma3_text},
    {"llama", read_llama}, {"mistral", read_mistral}, {"phi3", read_phi3},
    {"qwen2", read_qwen2}, {"qwen3", read_qwen3}};

// Takes the fields of any family that describe the file, the tokenizer, generation or training, but not the function.
void ignore_what_computes_nothing(ConfigFields& fields);

}  // namespace equipoise
