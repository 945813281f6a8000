// A path that does not exist but may be the name of something on the Hugging Face Hub, from where nothing is loaded.
#pragma once

#include <filesystem>
#include <string>

namespace equipoise {

enum class HubKind { kModel, kDataset };

// "; if Qwen/Qwen2.5-0.5B is a model of the Hub, download it first: hf download Qwen/Qwen2.5-0.5B --local-dir PATH",
// after which `path` is right as it is. `path` is absolute and does not exist: what of it does not exist, or follows an
// address of the Hub, is the name. Empty where that cannot be one.
std::string hub_advice(const std::filesystem::path& path, HubKind kind);

}  // namespace equipoise
