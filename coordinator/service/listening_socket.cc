#include "coordinator/service/listening_socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>

namespace equipoise::coordinator {
namespace {

using FoundAddresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

FoundAddresses found_addresses(const ListenAddress& listen) {
  const std::string host = listen.host.starts_with('[') ? listen.host.substr(1, listen.host.size() - 2) : listen.host;
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(listen.port).c_str(), &hints, &found);
  return {code == 0 ? found : nullptr, &::freeaddrinfo};
}

// Negative, with errno: it cannot be listened on.
int socket_at(const addrinfo& address) {
  const int socket = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return socket;
  constexpr int kOn = 1, kOff = 0;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof(kOn));
  if (address.ai_family == AF_INET6) ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &kOff, sizeof(kOff));
  if (::bind(socket, address.ai_addr, address.ai_addrlen) == 0 && ::listen(socket, SOMAXCONN) == 0) return socket;
  const int error = errno;
  ::close(socket);
  errno = error;
  return -1;
}

[[noreturn]] void refuse(const ListenAddress& listen) { throw std::runtime_error("cannot listen on " + listen.text()); }

void close_all(std::vector<int>& sockets) {
  for (const int socket : sockets) ::close(socket);
  sockets.clear();
}

// Empty: there is none, or another program is at one of them.
std::vector<int> sockets_of(ListenAddress listen) {
  std::vector<int> sockets;
  std::set<std::string> tried;  // a hosts file may name one twice
  const FoundAddresses addresses = found_addresses(listen);
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    if (address->ai_family == AF_INET) {
      reinterpret_cast<sockaddr_in*>(address->ai_addr)->sin_port = htons(static_cast<std::uint16_t>(listen.port));
    } else if (address->ai_family == AF_INET6) {
      reinterpret_cast<sockaddr_in6*>(address->ai_addr)->sin6_port = htons(static_cast<std::uint16_t>(listen.port));
    }
    if (!tried.emplace(reinterpret_cast<const char*>(address->ai_addr), address->ai_addrlen).second) continue;
    const int socket = socket_at(*address);
    if (socket >= 0) {
      sockets.push_back(socket);
      if (listen.port == 0) listen.port = port_of(socket);
    } else if (errno == EADDRINUSE) {
      close_all(sockets);
      return sockets;
    }
  }
  return sockets;
}

std::string address_text(int family, const void* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family, address, text.data(), text.size());
  return text.data();
}

}  // namespace

SocketPeer peer_of(const sockaddr_storage& address) {
  if (address.ss_family != AF_INET6) {
    const auto& found = reinterpret_cast<const sockaddr_in&>(address);
    const std::string text = address_text(AF_INET, &found.sin_addr);
    return {.text = "ipv4:" + text + ":" + std::to_string(ntohs(found.sin_port)), .address = text};
  }
  const auto& found = reinterpret_cast<const sockaddr_in6&>(address);
  const std::string scope = found.sin6_scope_id == 0 ? "" : "%" + std::to_string(found.sin6_scope_id);
  SocketPeer peer{.text = "ipv6:[" + address_text(AF_INET6, &found.sin6_addr) + scope +
                          "]:" + std::to_string(ntohs(found.sin6_port)),
                  .address = ""};
  in6_addr network = found.sin6_addr;
  constexpr std::size_t kNetworkBytes = 8, kMappedAt = 12;
  if (IN6_IS_ADDR_V4MAPPED(&network)) {
    peer.address = address_text(AF_INET, &network.s6_addr[kMappedAt]);
  } else {
    std::fill(std::begin(network.s6_addr) + kNetworkBytes, std::end(network.s6_addr), std::uint8_t{0});
    peer.address = address_text(AF_INET6, &network) + "/64";
  }
  return peer;
}

std::size_t most_open_files() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<std::size_t>(limit.rlim_cur) : 1024;
}

int port_of(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

int listening_socket(const ListenAddress& listen) {
  const FoundAddresses addresses = found_addresses(listen);
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    const int socket = socket_at(*address);
    if (socket >= 0) return socket;
  }
  refuse(listen);
}

std::vector<int> listening_sockets(const ListenAddress& listen) {
  if (listen.host == "0.0.0.0") {
    std::vector<int> both = sockets_of({.host = "[::]", .port = listen.port});  // takes IPv4 too
    if (!both.empty()) return both;
  }
  // A free port of one address may be another program's at the next.
  constexpr int kTries = 8;
  for (int attempt = 0; attempt < (listen.port == 0 ? kTries : 1); ++attempt) {
    std::vector<int> sockets = sockets_of(listen);
    if (!sockets.empty()) return sockets;
  }
  refuse(listen);
}

}  // namespace equipoise::coordinator
