// Regular expressions as Python's `re` reads them, with look-around, on names of modules.
#pragma once

#include <string>
#include <vector>

namespace equipoise {

// For each of `names` whether `pattern` matches the whole of it. A pattern comes with an adapter from somewhere: its
// length, memory, time and steps back are bounded. Throws std::invalid_argument "no regular expression: ..." or what
// the pattern takes too much of.
std::vector<bool> matches_whole(const std::string& pattern, const std::vector<std::string>& names);

}  // namespace equipoise
