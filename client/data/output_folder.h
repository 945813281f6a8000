// The folder that a command writes its files into.
#pragma once

#include <filesystem>

namespace equipoise {

// Makes `folder` unless it is there. Throws std::invalid_argument naming it and the cause.
void make_output_folder(const std::filesystem::path& folder);

}  // namespace equipoise
