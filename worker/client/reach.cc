#include "worker/client/reach.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "common/base/descriptor.h"

namespace equipoise {
namespace {

std::string error_text(int error) { return std::generic_category().message(error); }

std::string why_not_connected(const addrinfo& address, std::chrono::milliseconds longest) {
  const Descriptor socket(
      ::socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol));
  if (socket.get() < 0) return error_text(errno);
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return "";
  if (errno != EINPROGRESS) return error_text(errno);
  pollfd waiting{.fd = socket.get(), .events = POLLOUT, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, static_cast<int>(longest.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return "no answer within " + std::to_string(longest.count()) + " ms";
  int error = 0;
  socklen_t size = sizeof error;
  if (ready < 0 || ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return error_text(errno);
  return error == 0 ? "" : error_text(error);
}

}  // namespace

std::string why_out_of_reach(const HostPort& address, std::chrono::milliseconds longest) {
  std::string host = address.host;
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), std::to_string(address.port).c_str(), &wanted, &found)) {
    return ::gai_strerror(error);
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);
  std::string why;
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    why = why_not_connected(*one, longest);
    if (why.empty()) return "";
  }
  return why;
}

}  // namespace equipoise
