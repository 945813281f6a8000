// A LoRA adapter: for projections W of a decoder, W x + scaling B A x; DoRA gives the rows a magnitude (linear.h).
// Source: Hu et al. 2021 (arXiv:2106.09685); files and start as PEFT 0.21.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "common/config/model_config.h"
#include "worker/model/adapter_config.h"
#include "worker/model/tensor_bytes.h"

namespace equipoise {

// Of one projection.
struct ProjectionTensors {
  torch::Tensor a_RI, b_OR;
  torch::Tensor magnitude_O;  // DoRA; else undefined
};

struct LoraAdapter {
  LoraSettings settings;
  std::vector<LinearShape> adapted;  // in the order of the forward pass
  std::vector<NamedTensor> tensors;  // of each, as adapter_layout; leaves that require grad

  // Copies of the model's embedding and head that PEFT saved beside the adapter, under the model's names and in
  // the file's types.
  std::vector<NamedTensor> saved_modules = {};

  std::size_t tensors_each() const { return settings.dora ? 3 : 2; }
  ProjectionTensors of(std::size_t i) const;  // of adapted[i]
};

// B is 0, and A depends on settings, shapes and seed alone: all ranks have the same. Magnitudes are not there yet:
// Decoder::attach, which has the weights, makes them.
// Throws std::invalid_argument for targets that the decoder does not have.
LoraAdapter new_adapter(const DecoderConfig& config, const LoraSettings& settings, std::uint64_t seed,
                        torch::Dtype dtype, torch::Device device);

// Reads adapter_config.json and adapter_model.safetensors. Throws std::invalid_argument naming file and field or
// tensor: what read_adapter_config refuses; a tensor missing, superfluous, of another shape or with
// a number that is not finite.
LoraAdapter load_adapter(const std::filesystem::path& folder, const DecoderConfig& config, torch::Dtype dtype,
                         torch::Device device);

// Writes a folder that PEFT loads: adapter_config.json, adapter_model.safetensors and the tokenizer's files as in
// `base_model`. Whole or not at all, as save_model. Throws as it.
void save_adapter(const LoraAdapter& adapter, const std::filesystem::path& base_model,
                  const std::filesystem::path& target, const std::function<void(std::int64_t)>& on_bytes = {});

// Of that folder what is beside the tensors, into `folder`, which is there.
void write_adapter_files(const LoraAdapter& adapter, const std::filesystem::path& base_model,
                         const std::filesystem::path& folder);

}  // namespace equipoise
