// Sockets that listen at an address of the service, and who is at the other end of what they accept.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <vector>

#include "coordinator/service/listen_address.h"

namespace equipoise::coordinator {

struct SocketPeer {
  std::string text;  // "ipv4:10.0.0.7:5120", for the log
  // That limits count by: of IPv6 whoever has an address has the 64 bits of its network, and one of IPv4 may come as
  // one of IPv6.
  std::string address;
};

SocketPeer peer_of(const sockaddr_storage& address);

// One at the first address of the host that can be listened on. It does not block, and the caller closes it. Throws
// std::runtime_error.
int listening_socket(const ListenAddress& listen);

// The same at all addresses of the host that this machine has, on one port: a name may have one of IPv4 and one of
// IPv6, and 0.0.0.0 is every interface of both. At least one.
std::vector<int> listening_sockets(const ListenAddress& listen);

// That a socket listens on.
int port_of(int socket);

// That this process may have, connections among them.
std::size_t most_open_files();

}  // namespace equipoise::coordinator
