// What `data import preferences` and `data check` are told about the files that they read.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/dataset/preference_reader.h"

namespace equipoise {

struct PreferenceFlags {
  std::vector<std::string> files;
  std::string group;
  std::string group_columns = "group";  // with commas between them
  std::string group_separator;
  bool sft = false;

  std::vector<std::filesystem::path> paths() const { return {files.begin(), files.end()}; }
  PreferenceReadSettings settings() const;
};

// Declares FILE... and the options on `verb`. `flags` outlives it.
void add_preference_flags(CLI::App& verb, PreferenceFlags& flags);

}  // namespace equipoise
