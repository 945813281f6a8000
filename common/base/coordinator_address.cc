#include "common/base/coordinator_address.h"

#include <charconv>
#include <stdexcept>
#include <string_view>

#include "common/base/quoted_text.h"

namespace equipoise {

void check_coordinator_address(const std::string& host_port) {
  const std::size_t colon = host_port.rfind(':');
  const std::string_view host = std::string_view(host_port).substr(0, colon);
  const bool bare_ipv6 = host.find(':') != std::string_view::npos && (host.front() != '[' || host.back() != ']');
  int port = 0;
  bool good = colon != std::string::npos && !host.empty() && !bare_ipv6;
  if (good) {
    const char* end = host_port.data() + host_port.size();
    const auto parsed = std::from_chars(host_port.data() + colon + 1, end, port);
    good = parsed.ec == std::errc() && parsed.ptr == end && port >= 1 && port <= 65535;
  }
  for (const char c : host) good = good && c > ' ' && c < 0x7f && c != '/';
  if (!good) {
    throw std::invalid_argument("the coordinator's address is " + quoted_text(host_port) +
                                ", expected HOST:PORT such as 127.0.0.1:7443 (--coordinator or EQUIPOISE_COORDINATOR)");
  }
}

}  // namespace equipoise
