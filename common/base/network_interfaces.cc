#include "common/base/network_interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

namespace equipoise {
namespace {

constexpr std::size_t kMostInterfaces = 6;

std::string address_text(const sockaddr& address) {
  sockaddr_in internet{};
  std::memcpy(&internet, &address, sizeof(internet));
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &internet.sin_addr, text.data(), text.size());
  return text.data();
}

}  // namespace

std::vector<NetworkInterface> network_interfaces() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(first, freeifaddrs);
  std::vector<NetworkInterface> interfaces;
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    const bool is_network = entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET &&
                            (entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_LOOPBACK) == 0;
    if (is_network) interfaces.push_back({.name = entry->ifa_name, .address = address_text(*entry->ifa_addr)});
  }
  return interfaces;
}

std::string host_name(std::string_view unknown) {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string(unknown);
}

std::string network_interfaces_text() {
  const std::vector<NetworkInterface> interfaces = network_interfaces();
  if (interfaces.empty()) return "no network interface but loopback";
  std::string text;
  for (std::size_t i = 0; i < std::min(interfaces.size(), kMostInterfaces); ++i) {
    text += (i == 0 ? "" : ", ") + interfaces[i].name + " " + interfaces[i].address;
  }
  return interfaces.size() > kMostInterfaces ? text + " and more" : text;
}

}  // namespace equipoise
