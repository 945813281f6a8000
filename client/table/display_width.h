// How wide text is on a terminal. Names come from data files and may hold anything: wide characters, combining
// marks, broken UTF-8, escape sequences.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace equipoise {

// The same text without what would move a cursor: each control character and each broken byte becomes U+FFFD.
std::string printable(std::string_view text);

// Columns taken by printable(text): 2 for wide characters, 0 for combining marks.
std::size_t display_width(std::string_view text);

// `text`, one line, as lines that fit in `columns`, broken between words; those that follow begin with two spaces. A
// word that is wider stays whole.
std::string wrapped(std::string_view text, std::size_t columns);

// Of the widest of its lines.
std::size_t text_width(std::string_view lines);

// printable(text) if it fits in `columns`, else its beginning and "…", at most `columns` wide.
std::string shorten(std::string_view text, std::size_t columns);

}  // namespace equipoise
