// Fields of one JSON line, the numbers that a row may have beside prompt and answers, and what is said of one that is
// wrong.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/dataset/preference_pair.h"

namespace equipoise {

// Throws std::invalid_argument: field "FIELD" is FOUND, expected WANTED.
[[noreturn]] void refuse_value(std::string_view field, const std::string& found, std::string_view wanted);

// What is said of a field whose text has the escape of U+D800 to U+DFFF, half of a surrogate pair.
std::string half_surrogate_fault(std::string_view field, unsigned code);

// Throws that of a text that holds such a half and is not Unicode therefore.
[[noreturn]] void refuse_half_surrogate(std::string_view field, std::string_view text);

// A value in a message: a text in quotes, else what kind it is ("a list").
std::string found_text(const simdjson::dom::element& value);

// The keys of an object in a message: "role", "content"; the first ones where there are very many.
std::string keys_text(const simdjson::dom::object& object);

// A text, an integer, true or false as text. Throws std::invalid_argument for another value, and as text_of().
std::string scalar_text(std::string_view field, const simdjson::dom::element& value, std::string_view wanted);

// The value's text. Throws std::invalid_argument where it is none or not Unicode.
std::string_view text_of(std::string_view field, const simdjson::dom::element& value, std::string_view wanted);

struct PairNumbers {
  std::optional<simdjson::dom::element> chosen_share, weight, reference_chosen, reference_rejected;

  // The field of this key, nullptr for another: "chosen_share", "weight", "ref_chosen_logps", "ref_rejected_logps".
  std::optional<simdjson::dom::element>* find(std::string_view key);
};

// Sets what comes from these fields of `pair`. Throws std::invalid_argument naming the field, without the file's name:
// a share outside (0, 1], a weight below 1e-100 or above 1e9, a log-probability above 0 or without the other.
void read_numbers(const PairNumbers& numbers, PreferencePair& pair);

}  // namespace equipoise
