// Text from outside and numbers as they may stand in a one-line message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace equipoise {

// `text` in double quotes: control characters and bytes that are not UTF-8 as \xNN, cut after 80 bytes with "...".
std::string quoted_text(std::string_view text);

// "1 pair", "3 pairs".
std::string counted(std::int64_t count, std::string_view noun);

// Whether `text` is well-formed UTF-8 (no surrogates, nothing overlong, nothing above U+10FFFF).
bool is_utf8(std::string_view text);

// Whether UTF-8 `text` has a character that a terminal may take for a command: below space, U+007F to U+009F.
bool has_control(std::string_view text);

// `text` where it is UTF-8, else with "?" in place of each byte that is not ASCII: a message with other text in it can
// be stored, but not read again.
std::string utf8_text(std::string text);

// At most `longest` bytes from the beginning of UTF-8 `text`, no character cut in two, control characters as spaces.
std::string one_line(std::string_view text, std::size_t longest);

// A float64 as text: the shortest decimal that reads back to the same bits ("0.1", "1e-05", "nan").
std::string number_text(double value);

// Throws std::invalid_argument "FIELD is VALUE, expected EXPECTED" unless `good`.
void check_number(bool good, const std::string& field, double value, const char* expected);

}  // namespace equipoise
