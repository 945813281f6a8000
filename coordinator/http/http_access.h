// Which requests the HTTP port looks at, before any token is: who must not even ask, whatever they know.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/http/http_request.h"
#include "coordinator/http/http_response.h"
#include "coordinator/http/http_server.h"

namespace equipoise::coordinator {

enum class HttpPart { kHealth, kMetrics, kPage, kApi };

struct HttpAccess {
  bool is_loopback = true;           // only this machine can reach the port
  bool has_tls = false;              // the port speaks TLS, beside plain text for /metrics
  bool has_tokens = false;           // calls need a token
  bool is_open = false;              // --insecure: whoever reaches the port may do everything
  bool has_open_metrics = false;     // --insecure-metrics
  std::vector<std::string> names{};  // of this service, beside addresses and localhost: small letters
};

// Whether /metrics is for callers with a token alone.
bool metrics_need_token(const HttpAccess& access);

// Why a request is not looked at: it came over plain text where TLS is spoken, from a web page of somebody else, or
// under a name that is not this service's (DNS rebinding), or would change something without being of the page or a
// program.
std::optional<HttpResponse> refused_at_the_door(const HttpAccess& access, HttpPart part, const HttpRequest& request,
                                                const HttpPeer& peer);

}  // namespace equipoise::coordinator
