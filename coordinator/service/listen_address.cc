#include "coordinator/service/listen_address.h"

#include <charconv>
#include <stdexcept>

namespace equipoise::coordinator {

bool ListenAddress::is_loopback() const { return host == "localhost" || host == "[::1]" || host.starts_with("127."); }

bool ListenAddress::is_wildcard() const { return host == "0.0.0.0" || host == "[::]"; }

ListenAddress parse_listen_address(const std::string& flag, const std::string& text) {
  constexpr int kLargestPort = 65535;
  const std::size_t colon = text.rfind(':');
  ListenAddress address;
  if (colon != std::string::npos && colon > 0) {
    address.host = text.substr(0, colon);
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, address.port);
    const bool is_port =
        parsed.ec == std::errc() && parsed.ptr == end && address.port >= 0 && address.port <= kLargestPort;
    const bool is_host =
        address.host.find(':') == std::string::npos || (address.host.front() == '[' && address.host.back() == ']');
    if (is_port && is_host) return address;
  }
  throw std::invalid_argument(flag + " is \"" + text + "\", expected HOST:PORT with a port of 0 to 65535");
}

void check_loopback(const std::string& flag, const ListenAddress& address) {
  if (address.is_loopback()) return;
  throw std::invalid_argument(
      flag + " is " + address.text() +
      ", which other machines can reach, and there is no TLS yet; expected a loopback address, or "
      "--insecure on a network where everybody is trusted");
}

}  // namespace equipoise::coordinator
