// The folder that a command writes its files into, those files, and the files that it reads.
#pragma once

#include <filesystem>
#include <string>

#include "common/base/durable_file.h"

namespace equipoise {

// Makes `folder` unless it is there. Throws std::invalid_argument naming it and the cause.
void make_output_folder(const std::filesystem::path& folder);

// Both files, or neither: where the second cannot be put in place the first is removed from `first_path` again. Throws
// what DurableFile::commit() throws.
void commit_both(DurableFile& first, const std::filesystem::path& first_path, DurableFile& second);

// Throws std::invalid_argument where the file `output` is `input`, under another name or through links too. `of` says
// whose file that is: "the survey x.jsonl".
void check_output_is_not(const std::filesystem::path& input, const std::filesystem::path& output,
                         const std::string& of);

}  // namespace equipoise
