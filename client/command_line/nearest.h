// The word that was probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace equipoise {

// The one of `known` with the smallest edit distance to `word`, the first of equals; empty if `known` is.
std::string nearest(std::string_view word, std::span<const std::string> known);

}  // namespace equipoise
