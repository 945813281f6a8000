// What can go wrong on a GPU and not on a CPU, as checks that run on either: small on a CPU, where they test
// themselves.
#pragma once

#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <string>

#include "worker/collective/gpu_library.h"

namespace equipoise::gpu_check {

struct CheckDevice {
  const DeviceCollective& opened;
  Collective& host;  // of one rank

  torch::Device device() const { return opened.device; }
  bool is_gpu() const { return device().is_cuda(); }
  Collective& collective() const { return opened.collective(host); }
  // Returns when everything that was started on the device is done.
  void synchronize() const;
  void reset_peak() const;
  // Largest number of bytes that tensors held on the GPU since reset_peak(); 0 on a CPU.
  std::int64_t peak_bytes() const;
};

struct Finding {
  std::string fault;            // a sentence; empty: the check has passed
  nlohmann::json numbers = {};  // measured
  std::string summary = {};     // of the numbers, for a table
  std::string left_out = {};    // a sentence why this device cannot show it; then nothing was measured

  // Keeps the first fault.
  void expect(bool holds, const std::string& otherwise) {
    if (!holds && fault.empty()) fault = otherwise;
  }
};

// Sums and broadcasts of one rank over NCCL, 200 buckets under way together.
Finding check_collective(const CheckDevice& device);
// Which kernel attention takes for ten shapes of blocks, with cuDNN and without, its time, and its result without it
// against float64.
Finding check_attention(const CheckDevice& device);
// The flash kernel over sequences of different lengths, queries at the end of their keys, against float64.
Finding check_varlen(const CheckDevice& device);
// Log-probs and gradients of every family, in float32 and bfloat16, against float64 on the CPU.
Finding check_families(const CheckDevice& device);
// Dropout masks and codes of four bits are those of the CPU, bit for bit.
Finding check_masks_and_codes(const CheckDevice& device);
// Twenty steps of a model of Gemma 2B's shape in bfloat16: phases, tokens a second, memory and the estimate of it. Left
// out where the GPU has not as much memory free.
Finding check_gemma_full(const CheckDevice& device);
Finding check_gemma_lora(const CheckDevice& device);
// Five steps of four layers of an 8B Llama's shape at four bits.
Finding check_llama_nf4(const CheckDevice& device);
// The same steps twice: on a CPU the parameters are the same bits; on a GPU the losses agree, and whether the bits are
// the same is reported.
Finding check_repeated_steps(const CheckDevice& device);
// Memory that is used up becomes one line that names the settings.
Finding check_out_of_memory(const CheckDevice& device);

// "1.234e-05"
std::string short_number(double value);

// max |a - b| / max |b|, in float64 on the CPU; infinity where a number of `a` is not finite.
double relative_difference(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace equipoise::gpu_check
