// Small JSON files of a Hugging Face folder.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace equipoise {

// Keys keep the order of the file. Throws std::invalid_argument naming the file: not there, larger than 64 MiB, not
// JSON (with the place) or not an object.
nlohmann::ordered_json read_json_object(const std::filesystem::path& path);

}  // namespace equipoise
