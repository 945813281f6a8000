// What the sections of a job share: checks of one setting, and enums of the message as enums of the config. Each check
// throws std::invalid_argument "FIELD is VALUE, expected WANTED".
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/map.h>

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <string_view>

namespace equipoise {

inline constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kMaxSteps = 1'000'000'000'000;  // steps, pairs: far beyond any run, far from overflow

[[noreturn]] void refuse_field(std::string_view field, std::string_view value, std::string_view wanted);
// Settings that contradict each other; `what` names them and the next move.
[[noreturn]] void refuse_combination(const std::string& what);

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

// `path` of a job file in `folder`; an empty one stays empty.
std::string absolute_path(const std::filesystem::path& folder, const std::string& path);

// A value that the enum of the message knows. Messages from the network may hold any number.
void check_enum_known(std::string_view field, int value, const google::protobuf::EnumDescriptor& known);

// "a | b | c": the values of an enum as YAML writes them, without the "unspecified" one.
std::string short_enum_names(const google::protobuf::EnumDescriptor& known);
// LOSS_TYPE_DPO -> "dpo".
std::string short_enum_name(const google::protobuf::EnumValueDescriptor& value);

// An enum of JobSpec and that of the config hold the same values in the same order; 0 of the message is "absent".
template <class Config, class Message>
constexpr Config config_enum(Message value) {
  return static_cast<Config>(static_cast<int>(value) - 1);
}
template <class Message, class Config>
constexpr Message message_enum(Config value) {
  return static_cast<Message>(static_cast<int>(value) + 1);
}

template <class Message, class Config>
struct EnumPair {
  Message message;
  Config config;
};
// Whether `pairs` are all values of both enums up to `last`, so that the two functions above turn one into the other.
template <class Message, class Config>
constexpr bool same_enums(Message last, std::initializer_list<EnumPair<Message, Config>> pairs) {
  int value = 0;
  for (const auto& [message, config] : pairs) {
    if (static_cast<int>(message) != ++value || config_enum<Config>(message) != config) return false;
  }
  return value == static_cast<int>(last);
}

// As YAML writes it: "dpo".
template <class Config>
std::string config_enum_name(Config value, const google::protobuf::EnumDescriptor& known) {
  return short_enum_name(*known.FindValueByNumber(static_cast<int>(value) + 1));
}

// Sets `target` from an enum field that is given.
template <class Config, class Message>
void set_enum(Config& target, std::string_view field, Message value, const google::protobuf::EnumDescriptor* known) {
  check_enum_known(field, value, *known);
  if (value != 0) target = config_enum<Config>(value);
}

}  // namespace equipoise
