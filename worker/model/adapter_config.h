// adapter_config.json, PEFT's description of an adapter.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/config/model_config.h"

namespace equipoise {

inline constexpr char kAdapterConfig[] = "adapter_config.json";
inline constexpr char kAdapterWeights[] = "adapter_model.safetensors";

// Of a LoRA or DoRA adapter for a causal language model.
// Throws std::invalid_argument "FILE: field ... is ..., expected ...": another kind of adapter, a field missing or out
// of range, and any field that may change the mathematics and is not known or not supported (rank_pattern,
// modules_to_save of others than embedding and head, ...).
LoraSettings read_adapter_config(const std::filesystem::path& file);

// The text of the file, whose target_modules are `targets`. `base_model` is the folder of the model that the adapter
// belongs to.
std::string adapter_config_text(const LoraSettings& settings, const std::vector<std::string>& targets,
                                const std::filesystem::path& base_model);

}  // namespace equipoise
