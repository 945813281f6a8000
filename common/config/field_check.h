// Checks of one setting. Each throws std::invalid_argument "FIELD is VALUE, expected WANTED".
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/map.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>

namespace equipoise {

[[noreturn]] void refuse_field(std::string_view field, std::string_view value, std::string_view wanted);

// A range of finite numbers; each bound belongs to it or not.
enum class Bound { kIncluded, kExcluded };
struct RealRange {
  double lowest = 0;
  Bound at_lowest = Bound::kIncluded;
  double highest = std::numeric_limits<double>::infinity();
  Bound at_highest = Bound::kExcluded;
};
inline constexpr RealRange kNotNegative{};
inline constexpr RealRange kPositive{.at_lowest = Bound::kExcluded};
inline constexpr RealRange kFinite{.lowest = -std::numeric_limits<double>::infinity(), .at_lowest = Bound::kExcluded};
inline constexpr RealRange kUnitInterval{.highest = 1, .at_highest = Bound::kIncluded};

double checked_real(std::string_view field, double value, const RealRange& range);

struct IntegerRange {
  std::int64_t lowest;
  std::int64_t highest;
};
std::int64_t checked_integer(std::string_view field, std::int64_t value, const IntegerRange& range);

// Not empty, at most 4096 bytes, no NUL.
std::filesystem::path checked_path(std::string_view field, const std::string& value);

// Group name -> number in the range; "FIELD.NAME" in messages.
std::map<std::string, double> checked_group_numbers(std::string_view field,
                                                    const google::protobuf::Map<std::string, double>& numbers,
                                                    const RealRange& range = kPositive);

// A value that the enum of the message knows. Messages from the network may hold any number.
void check_enum_known(std::string_view field, int value, const google::protobuf::EnumDescriptor& known);

// "a | b | c": the values of an enum as YAML writes them, without the "unspecified" one.
std::string short_enum_names(const google::protobuf::EnumDescriptor& known);
// LOSS_TYPE_DPO -> "dpo".
std::string short_enum_name(const google::protobuf::EnumValueDescriptor& value);

}  // namespace equipoise
