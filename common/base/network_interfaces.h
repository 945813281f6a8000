// This machine's name and networks, for choosing among them and for messages about ones that do not connect.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

struct NetworkInterface {
  std::string name;     // "eth0"
  std::string address;  // "10.0.0.1"
};

// IPv4 addresses of interfaces that are up, without loopback. Empty also where they cannot be read.
std::vector<NetworkInterface> network_interfaces();

// As gethostname() has it; `unknown` where it has none.
std::string host_name(std::string_view unknown = "");

// "eth0 10.0.0.1, docker0 172.17.0.1", at most 6 of them; "no network interface but loopback" where there is none.
std::string network_interfaces_text();

}  // namespace equipoise
