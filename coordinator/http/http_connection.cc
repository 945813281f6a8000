#include "coordinator/http/http_connection.h"

#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kReadAtOnce = 16 * 1024;
constexpr unsigned char kTlsHandshake = 0x16;

bool is_to_come(int code) { return code == EAGAIN || code == EWOULDBLOCK || code == EINTR; }

}  // namespace

HttpConnection::~HttpConnection() { ::close(socket_); }

HttpConnection::Step HttpConnection::begin(const HttpTls* tls) {
  unsigned char first = 0;
  const ssize_t found = ::recv(socket_, &first, 1, MSG_PEEK);
  if (found < 0) return is_to_come(errno) ? Step::kWaits : Step::kGone;
  if (found == 0) return Step::kGone;
  if (first != kTlsHandshake) return Step::kDone;
  if (tls != nullptr) tls_ = tls->session(socket_);
  return tls_ == nullptr ? Step::kGone : Step::kDone;
}

HttpConnection::Step HttpConnection::tls_step(int result) {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      wants_to_read_ = true;
      return Step::kWaits;
    case SSL_ERROR_WANT_WRITE:
      wants_to_write_ = true;
      return Step::kWaits;
    default:
      return Step::kGone;
  }
}

HttpConnection::Step HttpConnection::receive(std::string& bytes) {
  std::array<char, kReadAtOnce> part;
  if (tls_ != nullptr) {
    wants_to_read_ = wants_to_write_ = false;
    ERR_clear_error();
    const int count = SSL_read(tls_.get(), part.data(), static_cast<int>(part.size()));
    if (count <= 0) return tls_step(count);
    bytes.assign(part.data(), static_cast<std::size_t>(count));
    return Step::kDone;
  }
  const ssize_t count = ::recv(socket_, part.data(), part.size(), 0);
  if (count < 0) return is_to_come(errno) ? Step::kWaits : Step::kGone;
  if (count == 0) return Step::kGone;
  bytes.assign(part.data(), static_cast<std::size_t>(count));
  return Step::kDone;
}

void HttpConnection::queue(SharedBytes bytes) {
  if (bytes->empty()) return;
  output_bytes_ += bytes->size();
  output_.push_back(std::move(bytes));
}

HttpConnection::Step HttpConnection::flush() {
  wants_to_read_ = wants_to_write_ = false;
  while (!output_.empty()) {
    const std::string_view rest = std::string_view(*output_.front()).substr(written_);
    ssize_t count = 0;
    if (tls_ != nullptr) {
      ERR_clear_error();
      const int sent = SSL_write(tls_.get(), rest.data(), static_cast<int>(rest.size()));
      if (sent <= 0) {
        return tls_step(sent);
      }
      count = sent;
    } else {
      count = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (count < 0 && !is_to_come(errno)) return Step::kGone;
      if (count < 0) {
        wants_to_write_ = true;
        return Step::kWaits;
      }
    }
    moved_at_ = std::chrono::steady_clock::now();
    written_ += static_cast<std::size_t>(count);
    if (written_ < output_.front()->size()) continue;
    output_bytes_ -= output_.front()->size();
    output_.pop_front();
    written_ = 0;
  }
  return Step::kDone;
}

void HttpConnection::end_output() {
  if (tls_ != nullptr) {
    ERR_clear_error();
    SSL_shutdown(tls_.get());
    ERR_clear_error();
  }
  ::shutdown(socket_, SHUT_WR);
}

}  // namespace equipoise::coordinator
