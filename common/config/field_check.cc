#include "common/config/field_check.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <stdexcept>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

std::string range_text(const RealRange& range) {
  if (!std::isfinite(range.lowest)) return "a finite number";  // kFinite
  if (!std::isfinite(range.highest)) {
    return std::string("a number ") + (range.at_lowest == Bound::kIncluded ? ">= " : "> ") + number_text(range.lowest);
  }
  return std::string("a number in ") + (range.at_lowest == Bound::kIncluded ? "[" : "(") + number_text(range.lowest) +
         ", " + number_text(range.highest) + (range.at_highest == Bound::kIncluded ? "]" : ")");
}

}  // namespace

void refuse_field(std::string_view field, std::string_view value, std::string_view wanted) {
  throw std::invalid_argument(std::string(field) + " is " + std::string(value) + ", expected " + std::string(wanted));
}

void refuse_combination(const std::string& what) { throw std::invalid_argument(what); }

double checked_real(std::string_view field, double value, const RealRange& range) {
  const bool above = range.at_lowest == Bound::kIncluded ? value >= range.lowest : value > range.lowest;
  const bool below = range.at_highest == Bound::kIncluded ? value <= range.highest : value < range.highest;
  if (!std::isfinite(value) || !above || !below) refuse_field(field, number_text(value), range_text(range));
  return value;
}

std::int64_t checked_integer(std::string_view field, std::int64_t value, const IntegerRange& range) {
  if (value >= range.lowest && value <= range.highest) return value;
  refuse_field(field, std::to_string(value),
               "an integer from " + std::to_string(range.lowest) + " to " + std::to_string(range.highest));
}

std::filesystem::path checked_path(std::string_view field, const std::string& value) {
  constexpr std::size_t kLongest = 4096;  // Linux's PATH_MAX
  if (value.empty()) throw std::invalid_argument(std::string(field) + " is missing, expected a path");
  if (value.size() > kLongest || value.find('\0') != std::string::npos) {
    refuse_field(field, quoted_text(value), "a path of at most 4096 bytes without NUL");
  }
  return value;
}

std::string absolute_path(const std::filesystem::path& folder, const std::string& path) {
  return path.empty() ? path : (folder / path).lexically_normal().string();
}

std::map<std::string, double> checked_group_numbers(std::string_view field,
                                                    const google::protobuf::Map<std::string, double>& numbers,
                                                    const RealRange& range) {
  std::map<std::string, double> result;
  for (const auto& [group, number] : numbers) {
    if (group.empty() || has_control(group)) {
      refuse_field(std::string(field) + " key", quoted_text(group), "the name of a group");
    }
    result[group] = checked_real(std::string(field) + "." + group, number, range);
  }
  return result;
}

std::string short_enum_name(const google::protobuf::EnumValueDescriptor& value) {
  constexpr std::string_view kUnspecified = "UNSPECIFIED";
  const std::string& zero = value.type()->value(0)->name();
  std::string name = value.name().substr(zero.size() - kUnspecified.size());
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

std::string short_enum_names(const google::protobuf::EnumDescriptor& known) {
  std::string names;
  for (int i = 1; i < known.value_count(); ++i) names += (i > 1 ? " | " : "") + short_enum_name(*known.value(i));
  return names;
}

void check_enum_known(std::string_view field, int value, const google::protobuf::EnumDescriptor& known) {
  if (known.FindValueByNumber(value) == nullptr) {
    refuse_field(field, std::to_string(value), short_enum_names(known));
  }
}

}  // namespace equipoise
