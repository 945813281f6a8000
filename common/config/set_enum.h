// An enum of JobSpec as the config's, and the limits that several sections share.
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/config/field_check.h"
#include "common/config/job_enums.h"

namespace equipoise {

inline constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kMaxSteps = 1'000'000'000'000;  // steps, pairs: far beyond any run, far from overflow

// Settings that contradict each other; `what` names them and the next move.
[[noreturn]] inline void refuse_combination(const std::string& what) { throw std::invalid_argument(what); }

// Sets `target` from an enum field that is given; 0 is "absent".
template <class Config, class Message>
void set_enum(Config& target, std::string_view field, Message value, const google::protobuf::EnumDescriptor* known) {
  check_enum_known(field, value, *known);
  if (value != 0) target = config_enum<Config>(value);
}

}  // namespace equipoise
