#include "common/dataset/common_prompt.h"

#include <algorithm>

namespace equipoise {
namespace {

namespace dom = simdjson::dom;

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

// The start of the character that `end` is in, or of the one before if it is between two.
std::size_t character_before(std::string_view text, std::size_t end) {
  std::size_t begin = end;
  while (begin > 0 && continues_character(text[begin - 1])) --begin;
  return begin > 0 ? begin - 1 : 0;
}

bool same_object(const dom::object& a, const dom::object& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a) {
    dom::element other;
    if (b.at_key(key).get(other) != simdjson::SUCCESS || !same_json(value, other)) return false;
  }
  return true;
}

bool same_list(const dom::array& a, const dom::array& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), same_json);
}

bool same_number(const dom::element& a, const dom::element& b) {
  std::int64_t signed_a = 0, signed_b = 0;
  if (a.get(signed_a) == simdjson::SUCCESS && b.get(signed_b) == simdjson::SUCCESS) return signed_a == signed_b;
  std::uint64_t unsigned_a = 0, unsigned_b = 0;
  if (a.get(unsigned_a) == simdjson::SUCCESS && b.get(unsigned_b) == simdjson::SUCCESS) return unsigned_a == unsigned_b;
  double real_a = 0, real_b = 0;
  return a.get(real_a) == simdjson::SUCCESS && b.get(real_b) == simdjson::SUCCESS && real_a == real_b;
}

}  // namespace

std::size_t common_prompt(std::string_view chosen, std::string_view rejected) {
  const auto [end, other] = std::ranges::mismatch(chosen, rejected);
  auto size = static_cast<std::size_t>(end - chosen.begin());
  const bool one_ends = size == std::min(chosen.size(), rejected.size());
  if (one_ends) return character_before(chosen.substr(0, size), size);
  while (size > 0 && (continues_character(chosen[size]) || continues_character(rejected[size]))) --size;
  return size > 0 && chosen[size - 1] == ' ' ? size - 1 : size;
}

std::size_t common_prompt(const dom::array& chosen, const dom::array& rejected) {
  const std::size_t most = std::min(chosen.size(), rejected.size());
  std::size_t shared = 0;
  for (auto a = chosen.begin(), b = rejected.begin(); shared + 1 < most && same_json(*a, *b); ++a, ++b) ++shared;
  return shared;
}

bool same_json(const dom::element& a, const dom::element& b) {
  if (a.is_number() && b.is_number()) return same_number(a, b);
  if (a.type() != b.type()) return false;
  switch (a.type()) {
    case dom::element_type::ARRAY:
      return same_list(dom::array(a), dom::array(b));
    case dom::element_type::OBJECT:
      return same_object(dom::object(a), dom::object(b));
    case dom::element_type::STRING:
      return a.get_string().value_unsafe() == b.get_string().value_unsafe();
    case dom::element_type::BOOL:
      return a.get_bool().value_unsafe() == b.get_bool().value_unsafe();
    default:
      return true;  // null
  }
}

}  // namespace equipoise
