#include "worker/training/metrics_fields.h"

#include <utility>

#include "common/base/error.h"

namespace equipoise {
namespace {

using metrics_schema::Type;

MetricsJson by_name(std::span<const GroupNumber> numbers) {
  MetricsJson object = MetricsJson::object();
  for (const GroupNumber& number : numbers) object[std::string(number.group)] = number.value;
  return object;
}

}  // namespace

void MetricsFields::put(const Field& field, Type type, MetricsJson value, Part part, std::string_view group) {
  EQUIPOISE_CHECK(field.type == type);
  entries_.push_back({.field = &field, .part = part, .group = std::string(group), .value = std::move(value)});
}

void MetricsFields::set(const Field& field, std::int64_t value) { put(field, Type::kInteger, value); }

void MetricsFields::set(const Field& field, double value) { put(field, Type::kNumber, value); }

void MetricsFields::set(const Field& field, std::string_view value) { put(field, Type::kText, value); }

void MetricsFields::set(const Field& field, std::span<const double> values) {
  put(field, Type::kNumbers, std::vector<double>(values.begin(), values.end()));
}

void MetricsFields::set(const Field& field, std::span<const GroupNumber> numbers) {
  put(field, Type::kByGroup, by_name(numbers));
}

void MetricsFields::set_flag(const Field& field) { put(field, Type::kFlag, true); }

void MetricsFields::set_error(const Field& field, double error) {
  EQUIPOISE_CHECK(field.error == metrics_schema::Error::kStandard);
  put(field, Type::kNumber, error, Part::kError);
}

void MetricsFields::set_error(const Field& field, std::span<const GroupNumber> errors) {
  EQUIPOISE_CHECK(field.error == metrics_schema::Error::kStandard);
  put(field, Type::kByGroup, by_name(errors), Part::kError);
}

void MetricsFields::set_flat(const Field& field, std::string_view group, double value) {
  put(field, Type::kNumber, value, Part::kFlat, group);
}

void MetricsFields::add(const MetricsFields& further) {
  entries_.insert(entries_.end(), further.entries_.begin(), further.entries_.end());
}

std::string MetricsFields::Entry::name(std::string_view prefix) const {
  std::string name(field->prefix == metrics_schema::Prefix::kEval ? prefix : "");
  name += part == Part::kFlat ? metrics_schema::flat_name(group, field->name) : std::string(field->name);
  if (part == Part::kError) name += metrics_schema::kErrorSuffix;
  return name;
}

MetricsJson MetricsFields::line(metrics_schema::Lines kind, std::string_view prefix) const {
  MetricsJson line = MetricsJson::object();
  for (const Entry& entry : entries_) {
    EQUIPOISE_CHECK((entry.field->lines & kind) != 0);
    line[entry.name(prefix)] = entry.value;
  }
  return line;
}

}  // namespace equipoise
