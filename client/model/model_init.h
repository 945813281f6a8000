// `equipoise model init`: a Hugging Face folder with a small Gemma of random weights and a tokenizer of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace equipoise {

// The defaults make a model of about 2.5 million parameters.
struct ModelInitOptions {
  std::filesystem::path folder = {};              // must not exist
  std::vector<std::filesystem::path> texts = {};  // preference files; the tokenizer learns their prompts and answers
  std::uint64_t seed = 1;
  std::size_t vocab_size = 2048;  // at least 300; smaller where the texts have not so many frequent pieces
  std::int64_t hidden_size = 192;
  std::int64_t intermediate_size = 768;
  std::int64_t layers = 4;
  std::int64_t heads = 4;
  std::int64_t kv_heads = 1;   // divides heads
  std::int64_t head_dim = 48;  // even
  std::int64_t max_positions = 2048;
  double initializer_range = 0.02;  // standard deviation of the weights
};

struct ModelInitResult {
  std::size_t vocab_size;
  std::int64_t parameters;  // the embedding, which is also the output matrix, counts once
};

// Writes config.json, model.safetensors (float32), tokenizer.json, tokenizer_config.json, special_tokens_map.json and
// generation_config.json as transformers does. Matrices are drawn from N(0, initializer_range^2), norm weights are 0
// (Gemma multiplies by 1 + w). The folder appears whole or not at all; the same options and texts give the same bytes.
// Throws std::invalid_argument naming the option, its value and what would be right, a folder that exists, or what
// is wrong with a text file.
//   on_part  which part is being done, and what share of it is; what it throws ends the work
using OnModelPart = std::function<void(const std::string& part, double share)>;
ModelInitResult init_gemma(const ModelInitOptions& options, const OnModelPart& on_part = {});

// Names, shapes and random values of a Gemma's tensors.
struct NewTensor {
  std::string name;                 // as transformers names it
  std::vector<std::int64_t> shape;  // [out, in] of a matrix, [size] of a norm
  std::vector<float> values;        // row-major
};

// All of them. Tied to the embedding, the output matrix is not stored.
//   on_part  as init_gemma()'s
std::vector<NewTensor> draw_gemma_weights(const ModelInitOptions& options, std::size_t vocab_size,
                                          const OnModelPart& on_part = {});

// How many numbers draw_gemma_weights makes.
std::int64_t count_gemma_parameters(const ModelInitOptions& options, std::size_t vocab_size);

}  // namespace equipoise
