// What a run's data lost on the way to its batches, from data.json in its output.
#pragma once

#include <filesystem>
#include <string>

namespace equipoise {

// A line for each split that lost something: "3 of 183 training pairs are left out and 12 are shortened; data.json says
// of which groups". Lines for prompts that merge into answers or are repeated in them follow. Empty where nothing was
// lost, or there is no such file that can be read: it is a note, and no result.
std::string data_notes(const std::filesystem::path& output);

}  // namespace equipoise
