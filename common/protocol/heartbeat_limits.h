// The limits of HeartbeatRequest.warnings (worker.proto): ranks keep to them, the coordinator refuses more.
#pragma once

#include <cstddef>

namespace equipoise {

inline constexpr std::size_t kMostWarnings = 16;
inline constexpr std::size_t kLongestWarning = 1024;  // bytes of UTF-8

}  // namespace equipoise
