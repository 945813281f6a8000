// What a job's settings mean for the device that a rank has, before the model is loaded: the memory it takes, and
// sentences for the log and for a refusal.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

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

// A warning if the estimate is more than nine tenths of `free_bytes`, with its numbers and the settings that take less;
// else empty, and also where free_bytes is 0 (not known). `device` is "cuda:0" or "cpu".
std::string memory_warning(const MemoryEstimate& estimate, std::size_t free_bytes, const std::string& device,
                           const JobConfig& config);

// A warning if float32 or float64 is slow on `device`; else empty.
std::string dtype_warning(DType dtype, const std::string& device);

// A refusal that names what was asked for, and the settings of the job that decide on it, if `failure` says that a
// device or this machine has no memory left. Else nothing.
std::optional<std::invalid_argument> out_of_memory(const std::exception& failure, const JobConfig& config);

// The same of an evaluation, by the names of its flags.
std::optional<std::invalid_argument> out_of_memory_of_evaluation(const std::exception& failure);

}  // namespace equipoise
