#include "common/dataset/json_field.h"

#include <stdexcept>

#include "common/base/quoted_text.h"

namespace equipoise {

namespace dom = simdjson::dom;

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
    default:
      return "a number";
  }
}

std::string_view text_of(std::string_view field, const dom::element& value, std::string_view wanted) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) refuse_value(field, found_text(value), wanted);
  // Escapes can spell half a surrogate pair.
  if (!simdjson::validate_utf8(text)) refuse_value(field, quoted_text(text), "Unicode text");
  return text;
}

}  // namespace equipoise
