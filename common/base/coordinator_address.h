// Where a coordinator listens, as people say it.
#pragma once

#include <string>

namespace equipoise {

// Throws std::invalid_argument for what is not HOST:PORT, of a name, an IPv4 address or an IPv6 address in brackets.
// Touches no network.
void check_coordinator_address(const std::string& host_port);

}  // namespace equipoise
