#include "coordinator/http/http_request.h"

#include <algorithm>
#include <charconv>

#include "common/base/message_text.h"

namespace equipoise::coordinator {
namespace {

constexpr int kBadRequest = 400, kBodyTooLarge = 413, kTargetTooLong = 414, kHeadTooLarge = 431, kNotImplemented = 501,
              kOtherVersion = 505;
constexpr std::size_t kLongestMethod = 16, kLongestLength = 18;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// RFC 9110, section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string in_small_letters(std::string_view text) {
  std::string small_text(text);
  std::ranges::transform(small_text, small_text.begin(), small);
  return small_text;
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int digit_of(char c) {
  if (is_digit(c)) return c - '0';
  const char letter = small(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

// nullopt: half an escape, a control character, or no UTF-8.
std::optional<std::string> decoded(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    char c = text[at] == '+' ? ' ' : text[at];
    if (c == '%') {
      if (text.size() - at < 3) return std::nullopt;
      const int high = digit_of(text[at + 1]), low = digit_of(text[at + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      at += 2;
    }
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) return std::nullopt;
    plain += c;
  }
  if (!is_utf8(plain)) return std::nullopt;
  return plain;
}

// Whether a list such as "keep-alive, Upgrade" has it.
bool lists(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (in_small_letters(without_blanks(list.substr(0, end))) == wanted) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace

const std::string* HttpRequest::only_field(std::string_view name) const {
  const std::string* found = nullptr;
  for (const auto& [field, value] : fields) {
    if (field != name) continue;
    if (found != nullptr) return nullptr;
    found = &value;
  }
  return found;
}

std::vector<std::string_view> HttpRequest::fields_of(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [field, value] : fields) {
    if (field == name) values.emplace_back(value);
  }
  return values;
}

std::optional<std::string> HttpRequest::query_of(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

HttpRequestReader::State HttpRequestReader::read(std::string_view bytes) {
  if (state_ == State::kRefused) return state_;
  bytes_ += bytes;
  return state_ == State::kWhole ? state_ : advance();
}

HttpRequest HttpRequestReader::take() {
  HttpRequest request = std::move(request_);
  request_ = {};
  has_head_ = is_old_ = false;
  looked_at_ = body_bytes_ = blank_bytes_ = 0;
  state_ = State::kMore;
  advance();
  return request;
}

HttpRequestReader::State HttpRequestReader::refuse(int status) {
  status_ = status;
  bytes_.clear();
  return state_ = State::kRefused;
}

HttpRequestReader::State HttpRequestReader::advance() {
  if (!has_head_) {
    if (!pass_blank_lines()) return refuse(kBadRequest);
    // What is refused does not depend on the pieces that it comes in.
    const std::size_t line = bytes_.find("\r\n");
    if (line == std::string::npos ? bytes_.size() > limits_.line_bytes + 1 : line > limits_.line_bytes) {
      return refuse(kTargetTooLong);
    }
    const std::size_t end = bytes_.find("\r\n\r\n", looked_at_ > 3 ? looked_at_ - 3 : 0);
    if (end == std::string::npos) {
      looked_at_ = bytes_.size();
      return bytes_.size() > limits_.head_bytes + 3 ? refuse(kHeadTooLarge) : state_;
    }
    if (end > limits_.head_bytes) return refuse(kHeadTooLarge);
    const std::string head = bytes_.substr(0, end + 2);  // every line with its end
    bytes_.erase(0, end + 4);
    if (read_head(head) == State::kRefused) return state_;
    has_head_ = true;
  }
  if (bytes_.size() < body_bytes_) return state_;
  request_.body = bytes_.substr(0, body_bytes_);
  bytes_.erase(0, body_bytes_);
  return state_ = State::kWhole;
}

// A few empty lines before a request are passed over (RFC 9112, section 2.2).
bool HttpRequestReader::pass_blank_lines() {
  constexpr std::size_t kMostBytes = 8;
  std::size_t blank = 0;
  while (bytes_.compare(blank, 2, "\r\n") == 0) blank += 2;
  if (blank == 0) return true;
  bytes_.erase(0, blank);
  looked_at_ = 0;
  blank_bytes_ += blank;
  return blank_bytes_ <= kMostBytes;
}

HttpRequestReader::State HttpRequestReader::read_head(std::string_view head) {
  bool is_first = true;
  while (!head.empty()) {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (!(is_first ? read_request_line(line) : read_field(line))) return refuse(status_ == 0 ? kBadRequest : status_);
    is_first = false;
  }
  return settle_fields() ? state_ : refuse(status_ == 0 ? kBadRequest : status_);
}

bool HttpRequestReader::read_request_line(std::string_view line) {
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return false;
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, last - first - 1),
                         version = line.substr(last + 1);
  if (method.empty() || method.size() > kLongestMethod || !std::ranges::all_of(method, is_letter)) return false;
  // An absolute target, an authority or an asterisk is for proxies and servers as a whole.
  if (!target.starts_with('/')) return false;
  if (!std::ranges::all_of(target, [](char c) { return c > ' ' && c < 0x7f && c != '#' && c != '\\'; })) return false;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    if (version.starts_with("HTTP/")) status_ = kOtherVersion;
    return false;
  }
  is_old_ = version == "HTTP/1.0";
  request_.method = method;
  const std::size_t query = target.find('?');
  request_.path = target.substr(0, query);
  return query == std::string_view::npos || read_query(target.substr(query + 1));
}

bool HttpRequestReader::read_query(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto key = decoded(pair.substr(0, equals)), value = decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (!key || !value) return false;
    request_.query.emplace_back(*key, *value);
  }
  return true;
}

bool HttpRequestReader::read_field(std::string_view line) {
  if (request_.fields.size() >= limits_.headers) {
    status_ = kHeadTooLarge;
    return false;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view name = line.substr(0, colon), value = without_blanks(line.substr(colon + 1));
  // A line that begins with a blank goes on with the one before in old HTTP; a blank before the colon hides a name.
  if (!is_token(name)) return false;
  const bool is_plain = std::ranges::all_of(value, [](char c) {
    const auto code = static_cast<unsigned char>(c);
    return (code >= 0x20 && code != 0x7f) || c == '\t';
  });
  if (!is_plain) return false;
  request_.fields.emplace_back(in_small_letters(name), std::string(value));
  return true;
}

bool HttpRequestReader::settle_fields() {
  const auto count = [&](std::string_view name) { return request_.fields_of(name).size(); };
  if (count("transfer-encoding") > 0) {  // no client of this service sends one
    status_ = kNotImplemented;
    return false;
  }
  if (count("host") > 1 || (count("host") == 0 && !is_old_) || count("content-length") > 1) return false;
  request_.keeps_alive = !is_old_;
  for (const std::string_view value : request_.fields_of("connection")) {
    if (lists(value, "close")) request_.keeps_alive = false;
  }
  const std::string* const length = request_.only_field("content-length");
  if (length == nullptr) return true;
  if (length->empty() || !std::ranges::all_of(*length, is_digit)) return false;
  if (length->size() > kLongestLength) {
    status_ = kBodyTooLarge;
    return false;
  }
  std::from_chars(length->data(), length->data() + length->size(), body_bytes_);
  if (body_bytes_ > limits_.body_bytes) {
    status_ = kBodyTooLarge;
    return false;
  }
  return true;
}

}  // namespace equipoise::coordinator
