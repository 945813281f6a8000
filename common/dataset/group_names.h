// What is to be said of the names of groups.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace equipoise {

// "\"a\", \"b\" and 3 more".
std::string list_of_groups(std::span<const std::string> names);

// Of groups whose names differ in blanks or capital letters alone, which are groups of their own and may be meant for
// one: a line each, 3 at most.
std::vector<std::string> notes_on_similar_groups(std::span<const std::string> names);

}  // namespace equipoise
