// adapter_config.json, PEFT's description of an adapter, and the projections of a decoder that it changes.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/model_config.h"
#include "worker/model/weight_files.h"

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

// The projections of a decoder that a LoRA adapter changes, by PEFT's rules for names.

// In front of the model's own names in an adapter's file.
inline constexpr std::string_view kPeftPrefix = "base_model.model.";

// Every projection of every layer, in the order of the forward pass. The head is none of them.
std::vector<LinearShape> projections(const DecoderConfig& config);

// What messages call target_modules and target_pattern.
struct TargetFields {
  std::string names, pattern;
};

// Those that settings.target_modules or target_pattern name, in that order.
// Throws std::invalid_argument: a name or pattern that no projection has, with those there are; a pattern that is no
// regular expression.
std::vector<LinearShape> adapted_projections(const DecoderConfig& config, const LoraSettings& settings,
                                             const TargetFields& fields);

// Those that have a tensor among an adapter's, in that order: what PEFT made of a pattern, which may have matched whole
// names that begin otherwise.
std::vector<LinearShape> projections_with_tensors(const DecoderConfig& config, const std::set<std::string>& tensors);

// The tensors of an adapter as PEFT calls them, in that order: A [r, inputs], B [outputs, r] and, with DoRA, the
// magnitude [outputs] of each projection.
std::vector<ParameterShape> adapter_layout(const std::vector<LinearShape>& adapted, const LoraSettings& settings);

// "q_proj" of "model.layers.0.self_attn.q_proj", each once, in alphabetical order.
std::vector<std::string> last_names(const std::vector<LinearShape>& linears);

}  // namespace equipoise
