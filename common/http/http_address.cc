#include "common/http/http_address.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "common/base/message_text.h"

namespace equipoise {
namespace {

constexpr std::size_t kLongestAddress = 2048;
constexpr std::size_t kLongestShown = 80;

struct ShownAddress {
  std::string_view option;
  std::string_view text;
};

[[noreturn]] void refuse_address(const ShownAddress& shown, const char* wanted) {
  throw std::invalid_argument(std::string(shown.option) + " is \"" + one_line(std::string(shown.text), kLongestShown) +
                              "\", expected " + wanted);
}

// None that would end the line of the request, or the address in it.
bool is_sent_as_it_is(char c) { return c > ' ' && c < '\x7f' && c != '"' && c != '<' && c != '>' && c != '\\'; }

bool is_of_host(char c, bool is_ipv6) {
  const bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_word || c == '.' || (is_ipv6 ? c == ':' : c == '-' || c == '_');
}

int parse_port(std::string_view text, const ShownAddress& shown) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535) {
    refuse_address(shown, "a port from 1 to 65535");
  }
  return port;
}

}  // namespace

std::string HttpAddress::origin() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return std::string(is_https ? "https://" : "http://") + (is_ipv6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

HttpAddress parse_http_address(std::string_view option, std::string_view text) {
  HttpAddress address;
  constexpr std::string_view kHttps = "https://", kHttp = "http://";
  address.is_https = text.starts_with(kHttps);
  if (!address.is_https && !text.starts_with(kHttp)) {
    refuse_address({option, text.substr(0, text.find("://"))}, "a URL that begins with https:// or http://");
  }
  const std::size_t begin = (address.is_https ? kHttps : kHttp).size();
  const std::size_t end = std::min(text.find_first_of("/?#", begin), text.size());
  const std::string_view authority = text.substr(begin, end - begin);
  const ShownAddress shown{option, text.substr(0, end)};
  if (authority.find('@') != std::string_view::npos) {
    refuse_address({option, text.substr(0, begin)}, "a URL without a user and password");
  }
  if (text.size() > kLongestAddress) refuse_address(shown, "a URL of at most 2048 characters");
  if (!std::ranges::all_of(text, is_sent_as_it_is)) {
    refuse_address(shown, "a URL in which other characters than those of URLs are escaped (%20)");
  }
  if (text.find('#', begin) != std::string_view::npos) refuse_address(shown, "a URL without a fragment (#...)");
  const bool is_ipv6 = authority.starts_with('[');
  const std::size_t host_end = is_ipv6 ? authority.find(']') : std::min(authority.find(':'), authority.size());
  if (host_end == std::string_view::npos) refuse_address(shown, "a ] behind the IPv6 address");
  address.host = authority.substr(is_ipv6 ? 1 : 0, host_end - (is_ipv6 ? 1 : 0));
  const std::string_view rest = authority.substr(std::min(host_end + (is_ipv6 ? 1 : 0), authority.size()));
  const auto is_right = [&](char c) { return is_of_host(c, is_ipv6); };
  if (address.host.empty() || !std::ranges::all_of(address.host, is_right)) refuse_address(shown, "a host");
  if (!rest.empty() && !rest.starts_with(':')) refuse_address(shown, "a host, and :PORT or nothing behind it");
  address.port = rest.empty() ? (address.is_https ? 443 : 80) : parse_port(rest.substr(1), shown);
  const std::string_view target = text.substr(end);
  if (!target.starts_with('/')) address.target.push_back('/');
  address.target += target;
  return address;
}

}  // namespace equipoise
