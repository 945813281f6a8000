// A survey: questions with fixed options, and for groups of people the share that chose each option.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "client/data/new_bytes.h"

namespace equipoise {

struct SurveyQuestion {
  std::string key;  // wordings of one item share it
  std::string text;
  std::vector<std::string> options;  // one letter each: at most 26
};

struct SurveyAnswer {
  std::size_t question;          // position in Survey::questions
  std::string attribute;         // what the group is a value of: "POLPARTY"
  std::string group;             // "Democrat"
  std::vector<double> shares_O;  // [O options], finite, >= 0, not all 0; need not sum to 1
};

// Each (question, group) is answered at most once.
struct Survey {
  std::vector<SurveyQuestion> questions;  // OpinionQA: each (key, text) once
  std::vector<SurveyAnswer> answers;
};

// The group whose answers are those of everybody.
inline constexpr std::string_view kOverallGroup = "Overall";

inline constexpr std::size_t kMaxOptions = 26;

// Reads JSONL, an answer a line: {"key", "question", "options", "attribute", "group", "distribution"}.
// One key may carry several questions (an item asked in several wordings); a question's options must be the same in
// every line. Throws std::invalid_argument "FILE:LINE: ..." naming the field, the value and what would be right.
Survey read_opinionqa(const std::filesystem::path& path, const OnBytes& on_bytes = {});

// Writes the same format, whole or not at all. Throws as DurableFile does.
void write_opinionqa(const std::filesystem::path& path, const Survey& survey);

}  // namespace equipoise
