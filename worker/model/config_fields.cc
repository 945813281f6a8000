#include "worker/model/config_fields.h"

#include <cmath>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

// 0, which no caller takes, for everything that is not a finite number.
double number_of(const nlohmann::ordered_json& field) {
  const double value = field.is_number() ? field.get<double>() : 0;
  return std::isfinite(value) ? value : 0;
}

}  // namespace

ConfigFields::ConfigFields(std::string file, nlohmann::ordered_json object, std::string prefix)
    : file_(std::move(file)), object_(std::move(object)), prefix_(std::move(prefix)) {}

const nlohmann::ordered_json* ConfigFields::take(std::string_view name) {
  taken_.emplace(name);
  const auto field = object_.find(name);
  return field == object_.end() || field->is_null() ? nullptr : &*field;
}

void ConfigFields::refuse(std::string_view name, const std::string& expected) const {
  const auto field = object_.find(name);
  // A text is quoted once.
  const std::string found =
      field == object_.end() ? "absent" : quoted_text(field->is_string() ? field->get<std::string>() : field->dump());
  throw std::invalid_argument(file_ + ": field " + prefix_ + std::string(name) + " is " + found + ", expected " +
                              expected);
}

bool ConfigFields::is_null(std::string_view name) const {
  const auto field = object_.find(name);
  return field != object_.end() && field->is_null();
}

std::optional<std::int64_t> ConfigFields::whole(std::string_view name, std::int64_t least) {
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 31;
  const auto* field = take(name);
  if (field == nullptr) return std::nullopt;
  const std::uint64_t value = field->is_number_unsigned() ? field->get<std::uint64_t>() : kLimit;
  if (value < static_cast<std::uint64_t>(least) || value >= kLimit) {
    refuse(name, "a whole number from " + std::to_string(least) + " to 2147483647");
  }
  return static_cast<std::int64_t>(value);
}

std::optional<std::int64_t> ConfigFields::optional_size(std::string_view name) { return whole(name, 1); }

std::optional<std::int64_t> ConfigFields::count(std::string_view name) { return whole(name, 0); }

std::int64_t ConfigFields::size(std::string_view name) {
  const auto value = optional_size(name);
  if (!value) refuse(name, "a whole number from 1 to 2147483647");
  return *value;
}

std::optional<double> ConfigFields::positive(std::string_view name) {
  const auto* field = take(name);
  if (field == nullptr) return std::nullopt;
  const double value = number_of(*field);
  if (!(value > 0)) refuse(name, "a number above 0");
  return value;
}

std::optional<std::vector<double>> ConfigFields::positives(std::string_view name) {
  const auto* field = take(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_array()) refuse(name, "a list of numbers above 0");
  std::vector<double> values;
  for (const auto& element : *field) {
    values.push_back(number_of(element));
    if (!(values.back() > 0)) refuse(name, "a list of numbers above 0");
  }
  return values;
}

double ConfigFields::required_positive(std::string_view name) {
  const auto value = positive(name);
  if (!value) refuse(name, "a number above 0");
  return *value;
}

std::optional<bool> ConfigFields::flag(std::string_view name) {
  const auto* field = take(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_boolean()) refuse(name, "true or false");
  return field->get<bool>();
}

std::optional<std::string> ConfigFields::text(std::string_view name) {
  const auto* field = take(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_string()) refuse(name, "a text");
  return field->get<std::string>();
}

std::optional<std::vector<std::string>> ConfigFields::texts(std::string_view name) {
  const auto* field = take(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_array()) refuse(name, "a list of texts");
  std::vector<std::string> values;
  for (const auto& element : *field) {
    if (!element.is_string()) refuse(name, "a list of texts");
    values.push_back(element.get<std::string>());
  }
  return values;
}

std::optional<ConfigFields> ConfigFields::object(std::string_view name) {
  const auto* field = take(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_object()) refuse(name, "an object");
  return ConfigFields(file_, *field, prefix_ + std::string(name) + ".");
}

void ConfigFields::only(std::string_view name, const nlohmann::json& value) {
  const auto* field = take(name);
  if (field != nullptr && nlohmann::json(*field) != value) refuse(name, value.dump() + ", the only value supported");
}

void ConfigFields::ignore(std::initializer_list<std::string_view> names) { taken_.insert(names.begin(), names.end()); }

void ConfigFields::refuse_rest() const {
  for (const auto& [name, value] : object_.items()) {
    if (!value.is_null() && !taken_.contains(name)) {
      refuse(name, "no such field: it may change what the model computes and is not known");
    }
  }
}

}  // namespace equipoise
