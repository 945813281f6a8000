// Preference pairs as JSONL, as preference_pair.h reads it.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "common/base/durable_file.h"
#include "common/dataset/preference_pair.h"

namespace equipoise {

// One line, without its end: {"prompt": …, "chosen": …, "rejected": …, "group": …}, then "chosen_share" and "weight",
// each where it is not 1 or the pair says it, and the reference's log-probabilities where the pair has them. One whole
// membership is a name, several whole ones are a list, others an object of memberships. Throws std::invalid_argument
// naming the field for text that is not UTF-8, a share outside (0, 1], a weight that is not above 0.
std::string preference_line(const PreferencePair& pair, std::span<const std::string> group_names);

// Appends the same and "\n" to `text`. Rejected::kOptional leaves an empty "rejected" out.
void append_preference_line(const PreferencePair& pair, std::span<const std::string> group_names, Rejected rejected,
                            std::string& text);

// All pairs, with a share or a weight on every line or on none. Throws as preference_line() and DurableFile::write().
void write_lines(const PreferenceData& data, DurableFile& file);

}  // namespace equipoise
