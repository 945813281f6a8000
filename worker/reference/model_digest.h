// What tells one model from another: its configuration and the bytes of its weights.
#pragma once

#include <filesystem>

#include "common/base/sha256.h"

namespace equipoise {

// SHA-256 over config.json as it is, and the names, types, shapes and bytes of all tensors, ascending by name: how they
// are spread over files does not matter. Reads the folder once and keeps nothing of it.
// With an adapter, over its adapter_config.json and tensors as well.
// Throws std::invalid_argument as Decoder::load, for what it can see without the model's layout.
Digest model_digest(const std::filesystem::path& folder, const std::filesystem::path& adapter = {});

}  // namespace equipoise
