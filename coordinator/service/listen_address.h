// HOST:PORT of a socket to listen on.
#pragma once

#include <string>

namespace equipoise::coordinator {

struct ListenAddress {
  std::string host;  // an IPv6 address stands in brackets
  int port = 0;      // 0: any free one

  std::string text() const { return host + ":" + std::to_string(port); }
  // Only this machine can reach it.
  bool is_loopback() const;
  // Every interface of this machine.
  bool is_wildcard() const;
};

// Throws std::invalid_argument "`flag` is ..., expected HOST:PORT".
ListenAddress parse_listen_address(const std::string& flag, const std::string& text);

// Without TLS whoever reaches the address may do everything. Throws std::invalid_argument naming the flag.
void check_loopback(const std::string& flag, const ListenAddress& address);

}  // namespace equipoise::coordinator
