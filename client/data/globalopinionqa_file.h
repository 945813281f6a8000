// GlobalOpinionQA as Anthropic published it (Anthropic/llm_global_opinions on the Hugging Face hub): a CSV file with
// the columns question, selections, options, source. `selections` is the text of a Python dictionary from country to
// the share of each option, `options` that of a Python list.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "client/data/new_bytes.h"
#include "client/data/survey.h"

namespace equipoise {

struct GlobalOpinions {
  Survey survey;  // key: the question's text, as it may come in several rows; attribute: "country"
  // Left out:
  std::size_t rows_without_question = 0;   // no question or no options
  std::size_t rows_with_many_options = 0;  // more than kMaxOptions
  std::size_t answers_without_shares = 0;  // None, an empty list or all 0
};

// The groups of the paper's experiment, under their names in the file.
inline constexpr std::array<std::string_view, 5> kPaperCountries = {
    "Nigeria", "Egypt", "India (Current national sample)", "China", "Japan"};

// Columns may stand in any order; others are ignored. Throws std::invalid_argument "FILE:LINE: ..." naming the column
// and what would be right.
GlobalOpinions read_globalopinionqa(const std::filesystem::path& path, const OnBytes& on_bytes = {});

}  // namespace equipoise
