// `equipoise data import preferences` and `data check`: preference pairs of any files that can be read, counted, and
// written as JSONL. Memory does not grow with the files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/data/new_bytes.h"
#include "common/dataset/preference_reader.h"

namespace equipoise {

struct PreferenceOutput {
  std::filesystem::path train;
  std::optional<std::filesystem::path> validation = {};  // receives what is not in `train`
  double train_fraction = 0.8;                           // in (0, 1): of the prompts, where there is a validation file
  std::uint64_t seed = 1;                                // chooses them
};

// Pairs whose membership in the group is not 0.
struct GroupPairs {
  std::string group;
  std::int64_t train = 0;
  std::int64_t validation = 0;
  // Of both: both answers are the same; an answer has no text, and calls no tool either; the group had the same prompt
  // and answers before.
  std::int64_t equal_answers = 0, empty_answers = 0, duplicates = 0;
};

struct PreferenceCounts {
  std::vector<std::int64_t> pairs_of_file;  // one for each file
  std::int64_t train = 0, validation = 0;   // pairs
  std::vector<GroupPairs> groups;           // in the order of first appearance
  bool all_duplicates_found = true;         // false: there are more pairs than SeenPairs remembers
  std::vector<std::string> notes = {};      // on the files' fields and groups, a line each, once for those alike
};

// Throws std::invalid_argument for two outputs that are one file, or one inside of the other, for one without a file's
// name, and for a fraction outside (0, 1). Changes nothing.
void check_preference_output(const PreferenceOutput& output);

// Reads all files; all pairs count as `train`. Throws what PreferenceReader throws at the first pair that is wrong.
PreferenceCounts check_preferences(std::span<const std::filesystem::path> files, const PreferenceReadSettings& settings,
                                   const OnBytes& on_bytes = {});

// Writes their pairs in order, all files of the output or none; folders are made. All pairs of one prompt go to the
// same side. Throws as check_preferences(), check_preference_output() and DurableFile do, and std::invalid_argument for
// a side without pairs and for an output that is one of `files` or in a folder of them.
PreferenceCounts import_preferences(std::span<const std::filesystem::path> files,
                                    const PreferenceReadSettings& settings, const PreferenceOutput& output,
                                    const OnBytes& on_bytes = {});

}  // namespace equipoise
