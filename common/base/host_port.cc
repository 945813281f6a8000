#include "common/base/host_port.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

bool is_host(std::string_view host) {
  if (host.find_first_of(":[]") != std::string_view::npos) {
    if (!host.starts_with('[') || !host.ends_with(']')) return false;
    host = host.substr(1, host.size() - 2);
    if (host.find_first_of("[]") != std::string_view::npos) return false;
  }
  return !host.empty() && std::ranges::all_of(host, [](char c) { return c > ' ' && c < 0x7f && c != '/'; });
}

std::optional<int> port_of(std::string_view digits) {
  constexpr int kLargestPort = 65535;
  int port = 0;
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, port);
  const bool is_port = parsed.ec == std::errc() && parsed.ptr == end && port >= 0 && port <= kLargestPort;
  return is_port ? std::optional(port) : std::nullopt;
}

}  // namespace

std::optional<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view host = text.substr(0, colon);
  const std::optional<int> port = port_of(text.substr(colon + 1));
  if (!port || !is_host(host)) return std::nullopt;
  return HostPort{.host = std::string(host), .port = *port};
}

bool is_loopback_host(std::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  in_addr address{};
  return host.starts_with("127.") && ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

void check_coordinator_address(std::string_view host_port) {
  const auto address = parse_host_port(host_port);
  if (address && address->port > 0) return;
  throw std::invalid_argument("the coordinator's address is " + quoted_text(host_port) +
                              ", expected HOST:PORT such as 127.0.0.1:7443 (--coordinator or EQUIPOISE_COORDINATOR)");
}

}  // namespace equipoise
