// Fields of one JSON line, and what is said of one that is wrong.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

namespace equipoise {

// Throws std::invalid_argument: field "FIELD" is FOUND, expected WANTED.
[[noreturn]] void refuse_value(std::string_view field, const std::string& found, std::string_view wanted);

// A value in a message: a text in quotes, else what kind it is ("a list").
std::string found_text(const simdjson::dom::element& value);

// The value's text. Throws std::invalid_argument where it is none or not Unicode.
std::string_view text_of(std::string_view field, const simdjson::dom::element& value, std::string_view wanted);

}  // namespace equipoise
