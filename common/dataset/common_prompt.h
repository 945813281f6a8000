// The prompt of answers that each begin with it: their longest common beginning, by TRL's rules.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <string_view>

namespace equipoise {

// Bytes of the prompt of two texts. It ends before the first character that differs, and before a space in front of
// that; where one text is the whole beginning of the other, its last character is left to the answers.
std::size_t common_prompt(std::string_view chosen, std::string_view rejected);

// Messages of the prompt of two conversations: those before the first that differs, of which each answer keeps at least
// one.
std::size_t common_prompt(const simdjson::dom::array& chosen, const simdjson::dom::array& rejected);

// Whether two values are equal as JSON: the order of keys does not count, 1 is 1.0.
bool same_json(const simdjson::dom::element& a, const simdjson::dom::element& b);

}  // namespace equipoise
