// Preferences of a log-linear problem and the JSONL they are kept in: {"state": [..], "group": 0, "chosen": 2,
// "rejected": 0}, a pair a line, and "chosen_share" on all of them or on none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/log_linear/problem.h"

namespace equipoise::log_linear {

struct Preference {
  std::vector<double> state;   // [state_dim]
  std::uint32_t group = 0;     // in [0, K)
  std::uint32_t chosen = 0;    // in [0, A)
  std::uint32_t rejected = 0;  // in [0, A), not chosen
  double chosen_share = 1;     // in (0, 1]: the share of people who prefer the chosen action
};

struct NotedPreferences {
  std::vector<Preference> preferences;  // in the order of the file
  std::vector<std::string> notes;       // what a user should know of its fields, a line each: those that are not used
};

// "weight" is refused, other keys are noted; empty lines are not allowed. The file may be compressed as text_file.h
// says. Throws std::invalid_argument "FILE:LINE: ..." naming the field, the value and
// what would be right: a file that cannot be read or has no pairs, malformed JSON, a missing, duplicate or wrongly
// typed field, a share on some lines alone, a state of another length or not finite, an unknown group or action, chosen
// equal to rejected, a share outside (0, 1], a line over 1 MiB.
NotedPreferences read_noted_preferences(const std::filesystem::path& path, const Problem& problem);

// Writes `path` whole or not at all; numbers come back bit for bit. Throws as DurableFile does.
void write_preferences(const std::filesystem::path& path, std::span<const Preference> preferences);

}  // namespace equipoise::log_linear
