// Text from outside as it may stand in a one-line message.
#pragma once

#include <string>
#include <string_view>

namespace equipoise {

// `text` in double quotes: control characters and bytes that are not UTF-8 as \xNN, cut after 80 bytes with "...".
std::string quoted_text(std::string_view text);

// Whether `text` is well-formed UTF-8 (no surrogates, nothing overlong, nothing above U+10FFFF).
bool is_utf8(std::string_view text);

}  // namespace equipoise
