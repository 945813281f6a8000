// Names, shapes and random values of a Gemma's tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/model/model_init.h"

namespace equipoise {

struct NewTensor {
  std::string name;                 // as transformers names it
  std::vector<std::int64_t> shape;  // [out, in] of a matrix, [size] of a norm
  std::vector<float> values;        // row-major
};

// All of them. Tied to the embedding, the output matrix is not stored.
std::vector<NewTensor> draw_gemma_weights(const ModelInitOptions& options, std::size_t vocab_size);

// How many numbers draw_gemma_weights makes.
std::int64_t count_gemma_parameters(const ModelInitOptions& options, std::size_t vocab_size);

}  // namespace equipoise
