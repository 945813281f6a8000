// What `data import preferences`, `data check` and `evaluate` are told about the files that they read.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/dataset/preference_reader.h"

namespace equipoise {

// Who says the group of a pair.
struct GroupFlags {
  std::string group;
  std::string group_columns = "group";  // with commas between them
  std::string group_separator;

  std::vector<std::string> columns() const;
};

// Declares --group, --group-columns and --group-separator on `verb`. `flags` outlives it.
void add_group_flags(CLI::App& verb, GroupFlags& flags);

struct PreferenceFlags {
  std::vector<std::string> files;
  GroupFlags groups;
  bool sft = false;

  std::vector<std::filesystem::path> paths() const { return {files.begin(), files.end()}; }
  PreferenceReadSettings settings() const;
};

// Declares FILE... and the options on `verb`. `flags` outlives it.
void add_preference_flags(CLI::App& verb, PreferenceFlags& flags);

}  // namespace equipoise
