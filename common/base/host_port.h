// HOST:PORT, as flags, variables and files name a network address.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace equipoise {

struct HostPort {
  std::string host;  // a name, an IPv4 address, or an IPv6 address in brackets
  int port = 0;
};

// Nothing where `text` is not HOST:PORT with a port of 0 to 65535 in decimal digits, or the host has a character that
// no host has: a blank, a control character, a slash, a byte that is not ASCII. Touches no network.
std::optional<HostPort> parse_host_port(std::string_view text);

// Whether only this machine is meant: "localhost", [::1], or an address of 127.0.0.0/8. Other names may be known here
// and elsewhere as anything.
bool is_loopback_host(std::string_view host);

// Of a coordinator that is to be called, so port 0 is refused. Throws std::invalid_argument naming the address.
void check_coordinator_address(std::string_view host_port);

}  // namespace equipoise
