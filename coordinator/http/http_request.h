// A request of HTTP/1.1 as bytes come in: the reader of what anybody may send. It is strict: what two programs could
// understand differently (RFC 9112, section 11) is refused, and nothing of it is kept beyond the limits below.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace equipoise::coordinator {

struct HttpLimits {
  std::size_t line_bytes = 8 * 1024;  // of the request line
  std::size_t head_bytes = 16 * 1024;
  std::size_t headers = 64;
  std::size_t body_bytes = 64 * 1024;
};

struct HttpRequest {
  std::string method;                                      // "GET"; letters only
  std::string path;                                        // "/v1/jobs": printable ASCII, as it came, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded; UTF-8 without control characters
  std::vector<std::pair<std::string, std::string>> fields;  // of the head: names in small letters
  std::string body;
  bool keeps_alive = true;  // the connection may have another request

  // Null: none, or more than one of that name.
  const std::string* only_field(std::string_view name) const;
  std::vector<std::string_view> fields_of(std::string_view name) const;
  // The first of that name.
  std::optional<std::string> query_of(std::string_view name) const;
};

// Of one connection. Not thread-safe.
class HttpRequestReader {
 public:
  explicit HttpRequestReader(HttpLimits limits = {}) : limits_(limits) {}

  enum class State {
    kMore,     // the request is not whole yet
    kWhole,    // take() gives it
    kRefused,  // status() says why; nothing that follows on this connection can be understood
  };
  // Bytes as they came, of any number of requests. Those behind a whole request are kept for the next one, no more than
  // the limits have room for: the caller does not read on before take().
  State read(std::string_view bytes);
  // Goes on with what is kept.
  HttpRequest take();
  State state() const { return state_; }
  int status() const { return status_; }  // 400, 413, 414, 431, 501, 505
  // Nothing of a request has come yet.
  bool is_empty() const { return state_ == State::kMore && bytes_.empty(); }

 private:
  State advance();
  State refuse(int status);
  bool pass_blank_lines();
  State read_head(std::string_view head);
  bool read_request_line(std::string_view line);
  bool read_field(std::string_view line);
  bool read_query(std::string_view text);
  bool settle_fields();

  HttpLimits limits_;
  State state_ = State::kMore;
  int status_ = 0;
  std::string bytes_;  // not read yet
  std::size_t looked_at_ = 0;
  std::size_t blank_bytes_ = 0;  // before the request
  bool has_head_ = false;
  bool is_old_ = false;  // HTTP/1.0
  std::size_t body_bytes_ = 0;
  HttpRequest request_;
};

}  // namespace equipoise::coordinator
