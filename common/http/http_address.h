// A URL that something is posted to.
#pragma once

#include <string>
#include <string_view>

namespace equipoise {

struct HttpAddress {
  bool is_https = false;
  std::string host;  // a name or an address; IPv6 without brackets
  int port = 0;
  std::string target;  // path and query, as they are sent

  std::string origin() const;  // "https://hooks.example.org:8443"; for people, as the query may be a secret
};

// "https://HOST[:PORT][/PATH][?QUERY]" or http. Throws std::invalid_argument "OPTION is ...", saying what would be
// right, for another scheme, a user or password in it, a fragment, no host, a wrong port, or a character that has to be
// escaped. What follows the host is in no message.
//   option  that the URL was given with: "--webhook"
HttpAddress parse_http_address(std::string_view option, std::string_view text);

}  // namespace equipoise
