// The folder that a command writes its files into, and the files that it reads.
#pragma once

#include <filesystem>
#include <string>

namespace equipoise {

// Makes `folder` unless it is there. Throws std::invalid_argument naming it and the cause.
void make_output_folder(const std::filesystem::path& folder);

// Throws std::invalid_argument where the file `output` is `input`, under another name or through links too. `of` says
// whose file that is: "the survey x.jsonl".
void check_output_is_not(const std::filesystem::path& input, const std::filesystem::path& output,
                         const std::string& of);

}  // namespace equipoise
