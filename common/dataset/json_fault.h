// Why a line of a JSONL file is not JSON: what is said of the things that people have in its place.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

namespace equipoise {

// Of a line that simdjson refused with `problem`: NaN and Python's words, a list or an object over several lines, CSV,
// another encoding, a line that is cut short. One line of text, without the place.
std::string json_fault(std::string_view line, simdjson::error_code problem);

}  // namespace equipoise
