// The model that the benchmarks of training steps compute with.
#pragma once

#include "tests/worker/support/family_configs.h"
#include "tests/worker/support/random_model.h"
#include "worker/model/decoder.h"

namespace equipoise {

inline constexpr std::int32_t kBenchVocabulary = 4096;

// A Llama of four layers with random weights, in float32 on the CPU.
inline Decoder bench_decoder() {
  const TempFolder folder;
  write_large_model(folder, tiny_config("llama", {{"vocab_size", kBenchVocabulary},
                                                  {"hidden_size", 256},
                                                  {"intermediate_size", 704},
                                                  {"num_hidden_layers", 4},
                                                  {"num_attention_heads", 8},
                                                  {"num_key_value_heads", 4},
                                                  {"head_dim", 32},
                                                  {"max_position_embeddings", 1024}}));
  return Decoder::load(folder.path(), torch::kFloat32, torch::kCPU);
}

}  // namespace equipoise
