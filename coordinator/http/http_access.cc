#include "coordinator/http/http_access.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace equipoise::coordinator {
namespace {

constexpr int kForbidden = 403, kMisdirected = 421, kWrongContent = 415;

std::string small_text(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

// "[::1]:80" is [::1], "host:80" is host; anything else behind it, and it is empty.
std::string host_without_port(std::string_view host) {
  const std::size_t bracket = host.starts_with('[') ? host.find(']') : std::string_view::npos;
  const std::size_t end = bracket == std::string_view::npos ? std::min(host.find(':'), host.size()) : bracket + 1;
  const std::string_view port = host.substr(end);
  const bool is_port =
      port.starts_with(':') && std::ranges::all_of(port.substr(1), [](char c) { return c >= '0' && c <= '9'; });
  return port.empty() || is_port ? small_text(host.substr(0, end)) : "";
}

// An address is looked up nowhere, so that nobody else can make it mean this service.
bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> ignored{};
  if (host.starts_with('[')) return ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), ignored.data()) == 1;
  return ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1;
}

bool is_own_name(const HttpAccess& access, std::string_view host_field) {
  const std::string host = host_without_port(host_field);
  return is_address(host) || host == "localhost" || host.ends_with(".localhost") ||
         std::ranges::find(access.names, host) != access.names.end();
}

bool may_be_spoken(const HttpAccess& access, HttpPart part, const HttpPeer& peer) {
  const bool is_metrics = part == HttpPart::kMetrics;
  if (access.is_open) return is_metrics || peer.is_tls || !access.has_tls;
  if (is_metrics && (access.is_loopback || access.has_open_metrics)) return true;
  if (access.has_tls) return peer.is_tls && (access.is_loopback || access.has_tokens);
  return access.is_loopback;
}

bool is_of_another_site(const HttpRequest& request, const HttpPeer& peer) {
  for (const std::string_view site : request.fields_of("sec-fetch-site")) {
    if (site != "same-origin" && site != "none") return true;
  }
  const auto origins = request.fields_of("origin");
  if (origins.empty()) return false;
  const std::string* const host = request.only_field("host");
  const std::string own = std::string(peer.is_tls ? "https://" : "http://") + (host == nullptr ? "" : *host);
  return origins.size() > 1 || small_text(origins.front()) != small_text(own);
}

bool is_json(const HttpRequest& request) {
  const std::string* const type = request.only_field("content-type");
  if (type == nullptr) return false;
  std::string kind = small_text(type->substr(0, type->find(';')));
  while (kind.ends_with(' ') || kind.ends_with('\t')) kind.pop_back();
  return kind == "application/json";
}

}  // namespace

bool metrics_need_token(const HttpAccess& access) {
  return access.has_tokens && !access.is_loopback && !access.is_open && !access.has_open_metrics;
}

std::optional<HttpResponse> refused_at_the_door(const HttpAccess& access, HttpPart part, const HttpRequest& request,
                                                const HttpPeer& peer) {
  if (part == HttpPart::kHealth) return std::nullopt;
  if (!may_be_spoken(access, part, peer)) {
    return plain_answer(kForbidden, access.has_tls ? "this service answers over https only"
                                                   : "this service answers /metrics only here: the page and its API "
                                                     "need --tls-cert and --tokens, or a loopback address");
  }
  // Where a token is needed, nobody's page has one by accident.
  const bool needs_token = part == HttpPart::kMetrics ? metrics_need_token(access) : access.has_tokens;
  const bool is_open_metrics = part == HttpPart::kMetrics && (access.has_open_metrics || access.is_open);
  const std::string* const host = request.only_field("host");
  const bool has_own_name = host != nullptr && is_own_name(access, *host);
  if (!needs_token && !is_open_metrics && !has_own_name) {
    return plain_answer(kMisdirected,
                        "the name that this service was called by is not one of its own: call it by an "
                        "address, as localhost, or as --advertise says");
  }
  if (part != HttpPart::kApi) return std::nullopt;
  if (is_of_another_site(request, peer))
    return plain_answer(kForbidden, "pages of other sites may not call this service");
  if (request.method != "POST") return std::nullopt;
  if (!is_json(request)) return plain_answer(kWrongContent, "expected the header Content-Type: application/json");
  const std::string* const mark = request.only_field("x-equipoise");
  if (mark == nullptr || *mark != "1") return plain_answer(kForbidden, "expected the header X-Equipoise: 1");
  return std::nullopt;
}

}  // namespace equipoise::coordinator
