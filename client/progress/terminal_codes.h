// What a terminal is told to draw a line that changes in place.
#pragma once

namespace equipoise {

inline constexpr const char* kHideCursor = "\x1b[?25l";
inline constexpr const char* kShowCursor = "\x1b[?25h";
inline constexpr const char* kClearLine = "\r\x1b[2K";

}  // namespace equipoise
