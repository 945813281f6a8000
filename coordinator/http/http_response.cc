#include "coordinator/http/http_response.h"

namespace equipoise::coordinator {
namespace {

std::string_view reason_of_status(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Other";
  }
}

// The page has scripts, styles and pictures of its own alone, talks to this service alone, and is in no frame.
constexpr std::string_view kSecurityFields =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n";

}  // namespace

HttpResponse plain_answer(int status, const std::string& line) {
  return {.status = status, .content_type = std::string(kPlainContent), .body = line + "\n"};
}

std::string response_bytes(const HttpResponse& response, AfterAnswer after, AnswerPart part) {
  std::string bytes = "HTTP/1.1 ";
  bytes.append(std::to_string(response.status)).append(" ").append(reason_of_status(response.status)).append("\r\n");
  if (!response.content_type.empty()) bytes.append("Content-Type: ").append(response.content_type).append("\r\n");
  const bool has_length = response.status != 204 && response.status != 304;
  if (has_length) bytes.append("Content-Length: ").append(std::to_string(response.body.size())).append("\r\n");
  bytes.append("Cache-Control: no-store\r\n");
  bytes.append(kSecurityFields);
  for (const auto& [name, value] : response.fields) bytes.append(name).append(": ").append(value).append("\r\n");
  bytes.append("Connection: ").append(after == AfterAnswer::kKeepOpen ? "keep-alive" : "close").append("\r\n\r\n");
  if (part == AnswerPart::kWhole && has_length) bytes.append(response.body);
  return bytes;
}

std::string stream_head() {
  std::string bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n";
  bytes.append(kSecurityFields).append("X-Accel-Buffering: no\r\nConnection: close\r\n\r\n");
  return bytes;
}

}  // namespace equipoise::coordinator
