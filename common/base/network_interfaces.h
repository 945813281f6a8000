// This machine's networks, for choosing among them and for messages about ones that do not connect.
#pragma once

#include <string>
#include <vector>

namespace equipoise {

struct NetworkInterface {
  std::string name;     // "eth0"
  std::string address;  // "10.0.0.1"
};

// IPv4 addresses of interfaces that are up, without loopback. Empty also where they cannot be read.
std::vector<NetworkInterface> network_interfaces();

// "eth0 10.0.0.1, docker0 172.17.0.1", at most 6 of them; "no network interface but loopback" where there is none.
std::string network_interfaces_text();

}  // namespace equipoise
