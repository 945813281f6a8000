#include "coordinator/service/listen_address.h"

#include <stdexcept>

#include "common/base/host_port.h"
#include "common/base/quoted_text.h"

namespace equipoise::coordinator {

bool ListenAddress::is_loopback() const { return host == "localhost" || host == "[::1]" || host.starts_with("127."); }

bool ListenAddress::is_wildcard() const { return host == "0.0.0.0" || host == "[::]"; }

ListenAddress parse_listen_address(const std::string& flag, const std::string& text) {
  const auto address = parse_host_port(text);
  if (address) return {.host = address->host, .port = address->port};
  throw std::invalid_argument(flag + " is " + quoted_text(text) + ", expected HOST:PORT with a port of 0 to 65535");
}

void check_loopback(const std::string& flag, const ListenAddress& address) {
  if (address.is_loopback()) return;
  throw std::invalid_argument(
      flag + " is " + address.text() +
      ", which other machines can reach, and there is no TLS yet; expected a loopback address, or "
      "--insecure on a network where everybody is trusted");
}

}  // namespace equipoise::coordinator
