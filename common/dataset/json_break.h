// The first place at which a line is no JSON.
#pragma once

#include <string_view>

namespace equipoise {

struct JsonBreak {
  enum class Kind {
    kNone,           // all of the line is JSON
    kEnd,            // the line ends before its value does
    kOpenText,       // the same inside of a text
    kControl,        // a control character in a text
    kEscape,         // a backslash in a text before what it cannot stand before
    kHalfSurrogate,  // an escape in a text that is half of a character
    kWord,           // letters that are none of JSON's words
    kNumber,         // digits that are no number of JSON
    kLargeNumber,    // a number that neither a 64-bit integer nor a float64 holds
    kComma,          // something where a comma or the end of a list or an object is expected
    kColon,          // something else behind a key
    kKey,            // no text where a key is expected
    kValue,          // nothing that a value begins with where one is expected
    kBehind          // something behind the line's value
  };
  Kind kind = Kind::kNone;
  std::string_view found;       // from that place to the line's end; kEscape, kWord and the numbers: that alone
  std::string_view before;      // the line up to that place, without the spaces before it
  std::string_view key;         // the last one before it
  unsigned half_surrogate = 0;  // its code
};

// Views are of `line`. Time and memory are bounded by the line's size, however deep it is nested.
JsonBreak first_json_break(std::string_view line);

}  // namespace equipoise
