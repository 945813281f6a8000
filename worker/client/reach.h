// Whether the coordinator can be reached from a rank's host, as `equipoise doctor` asks.
#pragma once

#include <chrono>
#include <string>

#include "common/base/host_port.h"

namespace equipoise {

// Empty where a connection to `address` can be opened, and closed again; else why not, as "Connection refused". Of a
// name with several addresses one is enough; each is tried for `longest`. Says nothing of TLS and tokens.
std::string why_out_of_reach(const HostPort& address, std::chrono::milliseconds longest);

}  // namespace equipoise
