#include "common/config/yaml_scalar.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>

#include "common/base/error.h"
#include "common/config/field_check.h"

namespace equipoise {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

namespace {

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number value{};
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> real_number(std::string_view text) {
  const std::optional<double> value = whole_number<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;  // from_chars takes "inf" and "nan"
}

// "64", or a float that is an integer ("1e3").
template <class Integer>
std::optional<Integer> integer(std::string_view text) {
  if (const auto value = whole_number<Integer>(text)) return value;
  constexpr double kExactIntegers = 9007199254740992;  // 2^53
  const std::optional<double> real = real_number(text);
  if (!real || std::trunc(*real) != *real || std::abs(*real) > kExactIntegers) return std::nullopt;
  return whole_number<Integer>(std::to_string(static_cast<std::int64_t>(*real)));
}

std::optional<bool> truth(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

std::optional<const EnumValueDescriptor*> enum_value(const FieldDescriptor& field, const std::string& text) {
  for (int i = 1; i < field.enum_type()->value_count(); ++i) {
    const EnumValueDescriptor* value = field.enum_type()->value(i);
    if (text == short_enum_name(*value) || text == value->name()) return value;
  }
  return std::nullopt;
}

// Stores `value` by the setter for a singular or a repeated field; without a value answers what was wanted.
template <class Value, class Stored>
std::string store(Message& message, const FieldDescriptor& field, const std::optional<Value>& value,
                  void (google::protobuf::Reflection::*set)(Message*, const FieldDescriptor*, Stored) const,
                  void (google::protobuf::Reflection::*add)(Message*, const FieldDescriptor*, Stored) const,
                  const std::string& wanted) {
  if (!value) return wanted;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  (reflection.*(field.is_repeated() ? add : set))(&message, &field, *value);
  return "";
}

}  // namespace

std::string set_scalar(Message& message, const FieldDescriptor& field, const std::string& text) {
  using R = google::protobuf::Reflection;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return store(message, field, real_number(text), &R::SetDouble, &R::AddDouble, "a number");
    case FieldDescriptor::CPPTYPE_INT32:
      return store(message, field, integer<std::int32_t>(text), &R::SetInt32, &R::AddInt32, "an integer");
    case FieldDescriptor::CPPTYPE_INT64:
      return store(message, field, integer<std::int64_t>(text), &R::SetInt64, &R::AddInt64, "an integer");
    case FieldDescriptor::CPPTYPE_UINT64:
      return store(message, field, integer<std::uint64_t>(text), &R::SetUInt64, &R::AddUInt64, "an integer >= 0");
    case FieldDescriptor::CPPTYPE_BOOL:
      return store(message, field, truth(text), &R::SetBool, &R::AddBool, "true or false");
    case FieldDescriptor::CPPTYPE_STRING:
      return store(message, field, std::optional(text), &R::SetString, &R::AddString, "text");
    case FieldDescriptor::CPPTYPE_ENUM:
      return store(message, field, enum_value(field, text), &R::SetEnum, &R::AddEnum,
                   short_enum_names(*field.enum_type()));
    default:
      EQUIPOISE_CHECK(false && "JobSpec has a field of a type that YAML cannot set yet");
  }
  return "";
}

}  // namespace equipoise
