// How much memory a job's model takes on each rank, before it is loaded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "common/config/job_config.h"
#include "worker/model/decoder_config.h"

namespace equipoise {

// Bytes of one rank. All but the activations are exact; with AdamW in bfloat16 they are 18 a trained parameter: 2 of
// the weight, 4 of its gradient, 4 of its float32 copy, 8 of the moments.
struct MemoryEstimate {
  std::int64_t weights = 0;
  std::int64_t reference = 0;    // of a reference of its own, gone before training begins
  std::int64_t gradients = 0;    // what is trained, float32 for bfloat16
  std::int64_t optimizer = 0;    // its state, with float32 copies of bfloat16 parameters
  std::int64_t activations = 0;  // what a micro-batch keeps for its backward pass: a formula, not measured yet

  std::int64_t training() const { return weights + gradients + optimizer + activations; }
  std::int64_t peak() const { return std::max(weights + reference, training()); }
};

// Of a job with `model`, on one of `world_size` ranks. `adapter` are the settings of what is trained in place of the
// model's own parameters, if that is an adapter.
// Throws std::invalid_argument for an adapter whose targets the model does not have.
MemoryEstimate estimate_memory(const JobConfig& config, const DecoderConfig& model,
                               const std::optional<LoraSettings>& adapter, int world_size);

// The same, of the files that the job names. Throws what reading config.json and adapter_config.json throws.
MemoryEstimate estimate_memory(const JobConfig& config, int world_size);

}  // namespace equipoise
