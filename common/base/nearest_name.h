// Which known name was probably meant.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace equipoise {

// Least number of insertions, deletions and replacements of a byte that turn one into the other. Takes time by the
// product of the lengths.
std::size_t edit_distance(std::string_view from, std::string_view to);

// The one of `known` with the smallest edit distance to `name`, the first of equals; empty if `known` is.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

// Whether who wrote `name` may have meant `known`: one begins with the other, or half of the bytes stay.
bool is_similar(std::string_view name, std::string_view known);

// nearest_name() of those that are similar.
std::string similar_name(std::string_view name, std::span<const std::string> known);

}  // namespace equipoise
