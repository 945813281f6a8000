// The explicit list of what may be ignored: everything that is neither here nor read by a family is refused.
#include "worker/model/families/family.h"

namespace equipoise {
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
