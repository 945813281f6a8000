#include "common/dataset/json_field.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <stdexcept>
#include <string>

#include "common/base/message_text.h"

namespace equipoise {

namespace dom = simdjson::dom;

namespace {

// Of three bytes that stand for U+D800 to U+DFFF the code point, else 0.
unsigned surrogate_at(std::string_view text, std::size_t i) {
  if (i + 2 >= text.size() || text[i] != '\xED' || static_cast<unsigned char>(text[i + 1]) < 0xA0) return 0;
  return 0xD000U + (static_cast<unsigned char>(text[i + 1]) & 0x3FU) * 64U +
         (static_cast<unsigned char>(text[i + 2]) & 0x3FU);
}

}  // namespace

std::string half_surrogate_fault(std::string_view field, unsigned code) {
  std::array<char, 16> escape{};
  std::snprintf(escape.data(), escape.size(), "\\u%04x", code);
  return "field " + quoted_text(field) + " holds " + escape.data() +
         ", half of a surrogate pair and so no character, expected both halves or the character itself";
}

void refuse_half_surrogate(std::string_view field, std::string_view text) {
  std::size_t i = 0;
  while (i < text.size() && surrogate_at(text, i) == 0) ++i;
  throw std::invalid_argument(half_surrogate_fault(field, surrogate_at(text, i)));
}

void refuse_value(std::string_view field, const std::string& found, std::string_view wanted) {
  throw std::invalid_argument("field \"" + std::string(field) + "\" is " + found + ", expected " + std::string(wanted));
}

std::string found_text(const dom::element& value) {
  switch (value.type()) {
    case dom::element_type::STRING:
      return quoted_text(value.get_string().value_unsafe());
    case dom::element_type::ARRAY:
      return "a list";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::NULL_VALUE:
      return "null";
    case dom::element_type::BOOL:
      return "true or false";
    case dom::element_type::DOUBLE:
      return number_text(value.get_double().value_unsafe());
    default:
      return "a number";
  }
}

std::string keys_text(const dom::object& object) {
  constexpr std::size_t kMost = 16;
  std::string keys;
  std::size_t count = 0;
  for (const auto& [key, value] : object) {
    if (count > 0) keys += ", ";
    if (count++ == kMost) return keys + "...";
    keys += quoted_text(key) + (value.is_null() ? " (null)" : "");
  }
  return keys.empty() ? "none" : keys;
}

std::string scalar_text(std::string_view field, const dom::element& value, std::string_view wanted) {
  std::int64_t integer = 0;
  std::uint64_t large = 0;
  bool truth = false;
  if (value.get(integer) == simdjson::SUCCESS) return std::to_string(integer);
  if (value.get(large) == simdjson::SUCCESS) return std::to_string(large);
  if (value.get(truth) == simdjson::SUCCESS) return truth ? "true" : "false";
  // "1" of 1.0 would look like the integer that is wanted.
  if (value.is_double()) {
    refuse_value(field, "the floating-point number " + found_text(value),
                 std::string(wanted) + ": texts, integers, true and false are names");
  }
  return std::string(text_of(field, value, wanted));
}

std::string_view text_of(std::string_view field, const dom::element& value, std::string_view wanted) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) refuse_value(field, found_text(value), wanted);
  if (!simdjson::validate_utf8(text)) refuse_half_surrogate(field, text);
  return text;
}

namespace {

namespace dom = simdjson::dom;

// Sums of weights, and what is divided by them, are numbers then.
constexpr double kSmallestWeight = 1e-100, kLargestWeight = 1e9;

// The numbers that a field may be, and how they are called.
struct Range {
  double above;  // not itself
  double most;
  std::string_view wanted;
};

double number(std::string_view field, const dom::element& value, const Range& range) {
  double found = 0;
  const bool is_number = value.get_double().get(found) == simdjson::SUCCESS;
  if (is_number && found > range.above && found <= range.most) return found;
  refuse_value(field, is_number ? number_text(found) : found_text(value), range.wanted);
}

double log_prob(std::string_view field, const std::optional<dom::element>& value) {
  if (value)
    return number(field, *value, {-std::numeric_limits<double>::infinity(), 0, "a log-probability, at most 0"});
  throw std::invalid_argument("field \"" + std::string(field) +
                              "\" is missing, expected the reference's log-probability of both answers or of none");
}

}  // namespace

std::optional<dom::element>* PairNumbers::find(std::string_view key) {
  if (key == "chosen_share") return &chosen_share;
  if (key == "weight") return &weight;
  if (key == "ref_chosen_logps") return &reference_chosen;
  return key == "ref_rejected_logps" ? &reference_rejected : nullptr;
}

void read_numbers(const PairNumbers& numbers, PreferencePair& pair) {
  pair.chosen_share = 1;
  pair.weight = 1;
  pair.reference.reset();
  pair.says_share = numbers.chosen_share.has_value();
  pair.says_weight = numbers.weight.has_value();
  if (numbers.chosen_share) {
    pair.chosen_share = number("chosen_share", *numbers.chosen_share, {0, 1, "a number in (0, 1]"});
  }
  if (numbers.weight) {
    const double above = std::nextafter(kSmallestWeight, 0.0);
    pair.weight = number("weight", *numbers.weight, {above, kLargestWeight, "a number from 1e-100 to 1e9"});
  }
  if (!numbers.reference_chosen && !numbers.reference_rejected) return;
  pair.reference = {.chosen = log_prob("ref_chosen_logps", numbers.reference_chosen),
                    .rejected = log_prob("ref_rejected_logps", numbers.reference_rejected)};
}

}  // namespace equipoise
