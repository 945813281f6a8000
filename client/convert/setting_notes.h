// What several tables say of a setting, in the same words.
#pragma once

#include <string_view>

namespace equipoise {

inline constexpr std::string_view kNotImplemented = "it is not implemented";
inline constexpr std::string_view kTracker = "metrics.jsonl has every number, by TRL's names";
inline constexpr std::string_view kSharding =
    "every rank holds the whole model: it must fit on one device; model.lora and model.quantization help";
inline constexpr std::string_view kOneKernel = "there is one implementation of each layer, chosen by the device";
inline constexpr std::string_view kReading = "files are read on all cores, and token ids are cached";
inline constexpr std::string_view kHub = "nothing is sent to the Hub; hf upload sends the final folder";
inline constexpr std::string_view kWholeCheckpoint = "a checkpoint is whole, and safetensors";
inline constexpr std::string_view kNothingGenerated = "nothing is generated while training";
inline constexpr std::string_view kMeanOverPairs =
    "losses are means over all pairs of the global batch, not of each device's mean";
inline constexpr std::string_view kOtherOrder = "the order of the pairs is another one for the same seed";

}  // namespace equipoise
