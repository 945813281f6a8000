#include "coordinator/service/listen_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

#include "common/base/host_port.h"
#include "common/base/message_text.h"
#include "common/base/network_interfaces.h"

namespace equipoise::coordinator {

bool ListenAddress::is_loopback() const { return is_loopback_host(host); }

bool ListenAddress::is_wildcard() const { return host == "0.0.0.0" || host == "[::]"; }

ListenAddress parse_listen_address(const std::string& flag, const std::string& text) {
  const auto address = parse_host_port(text);
  if (address) return {.host = address->host, .port = address->port};
  throw std::invalid_argument(flag + " is " + quoted_text(text) + ", expected HOST:PORT with a port of 0 to 65535");
}

void check_loopback(const std::string& flag, const ListenAddress& address, const std::string& needed) {
  if (address.is_loopback()) return;
  throw std::invalid_argument(flag + " is " + address.text() +
                              ", which other machines can reach; expected a loopback address, or " + needed);
}

namespace {

// Resolving may take seconds each where there is no name service.
constexpr std::size_t kMostResolved = 16;

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// Null, with `why`, for a name that is not known.
AddressList resolved(const std::string& host, int family, std::string& why) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* first = nullptr;
  const int code = getaddrinfo(host.c_str(), "9", &hints, &first);
  if (code != 0) why = gai_strerror(code);
  return {code == 0 ? first : nullptr, freeaddrinfo};
}

// Of user@host, or of a host in brackets, as IPv6 is written.
std::string without_user(const std::string& host) {
  const std::string name = host.substr(host.rfind('@') + 1);
  const bool has_brackets = name.size() > 2 && name.front() == '[' && name.back() == ']';
  return has_brackets ? name.substr(1, name.size() - 2) : name;
}

std::string text_of(const in_addr& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &address, text.data(), text.size());
  return text.data();
}

// What this machine is towards `host`. Nothing is sent: a datagram socket that is connected has chosen its source.
struct Route {
  bool is_known = false;    // the name has an IPv4 address and there is a way to it
  bool is_other = false;    // it is another machine
  std::string own_address;  // of ours on the way
};

Route route_to(const std::string& host) {
  std::string why;
  const AddressList address = resolved(without_user(host), AF_INET, why);
  if (address == nullptr) return {};
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return {};
  sockaddr_in own{};
  socklen_t length = sizeof(own);
  const bool has_way = ::connect(descriptor, address->ai_addr, address->ai_addrlen) == 0 &&
                       ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &length) == 0;
  ::close(descriptor);
  if (!has_way) return {};
  const auto& theirs = *reinterpret_cast<const sockaddr_in*>(address->ai_addr);
  const bool is_loopback = (ntohl(theirs.sin_addr.s_addr) >> 24) == 127;
  return {.is_known = true,
          .is_other = !is_loopback && theirs.sin_addr.s_addr != own.sin_addr.s_addr,
          .own_address = text_of(own.sin_addr)};
}

std::string own_host_towards(std::span<const HostSlots> hosts) {
  bool all_known = true;
  for (const HostSlots& host : hosts.first(std::min(hosts.size(), kMostResolved))) {
    const Route route = route_to(host.name);
    if (route.is_other) return route.own_address;
    all_known = all_known && route.is_known;
  }
  return all_known ? "127.0.0.1" : host_name("localhost");
}

}  // namespace

std::string checked_advertise(const std::string& text) {
  const std::string wanted =
      ", expected a host name or an address under which ranks reach this machine, without a port";
  const bool is_address = text.find(':') != text.rfind(':');  // IPv6
  if (!is_address && text.find(':') != std::string::npos) {
    throw std::invalid_argument("--advertise is " + quoted_text(text) + wanted);
  }
  const bool has_brackets = text.size() > 2 && text.front() == '[' && text.back() == ']';
  const std::string bare = has_brackets ? text.substr(1, text.size() - 2) : text;
  std::string why;
  if (resolved(bare, AF_UNSPEC, why) == nullptr) {
    throw std::invalid_argument("--advertise is " + quoted_text(text) + ", which this machine does not know (" + why +
                                ")" + wanted);
  }
  return is_address ? "[" + bare + "]" : text;
}

void check_reachable(const RankAddressSettings& settings, const ListenAddress& listen) {
  if (settings.advertise || !listen.is_loopback()) return;
  for (const HostSlots& host : settings.hosts.first(std::min(settings.hosts.size(), kMostResolved))) {
    const std::string place =
        settings.hostfile.empty() ? "--hostfile" : place_in_hostfile(settings.hostfile, host.name);
    // Every name of this machine is known to it. Of other ones, as ssh may have them, only ssh can say.
    std::string why;
    if (resolved(without_user(host.name), AF_UNSPEC, why) == nullptr) {
      throw std::invalid_argument(place + ": " + quoted_text(host.name) + " is no host that this machine knows (" +
                                  why + "), and --listen " + listen.text() +
                                  " serves this machine alone; expected localhost, or for ranks elsewhere 0.0.0.0:PORT "
                                  "with --insecure, or an --advertise under which they reach it");
    }
    if (!route_to(host.name).is_other) continue;
    throw std::invalid_argument(place + ": --listen is " + listen.text() + ", which ranks on " + host.name +
                                " of --hostfile cannot reach; expected 0.0.0.0:PORT with --insecure, or an --advertise "
                                "under which they can");
  }
}

std::string address_for_ranks(const RankAddressSettings& settings, const ListenAddress& bound) {
  ListenAddress address = bound;
  if (settings.advertise) {
    address.host = *settings.advertise;
  } else if (bound.is_wildcard()) {
    address.host = settings.allocation == Allocation::kUsed ? host_name("localhost") : own_host_towards(settings.hosts);
  }
  return address.text();
}

}  // namespace equipoise::coordinator
