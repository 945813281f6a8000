// Lists and dictionaries as Python's repr() writes them: nothing is evaluated, nothing is nested deeper than the two
// forms here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace equipoise {

// "['Yes', \"Don't know\", 7]": texts, and numbers, which stand for their own text.
// All throw std::invalid_argument "has ... at character N, expected ..." (N from 1) where the text is something else.
std::vector<std::string> read_python_texts(std::string_view text);

// Keys in the order of the text; absent: None.
using PythonShares = std::vector<std::pair<std::string, std::optional<std::vector<double>>>>;

// "{'India': [0.25, 0.75], 'Japan': None}", plain or as "defaultdict(<class 'list'>, {...})". Numbers are finite.
// A key that is given twice is refused.
PythonShares read_python_shares(std::string_view text);

}  // namespace equipoise
