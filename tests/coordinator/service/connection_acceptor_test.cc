#include "coordinator/service/connection_acceptor.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "common/base/descriptor.h"

namespace equipoise::coordinator {
namespace connection_acceptor_test {

// As gRPC may: it reads a connection that is new in the thread that gives it, for as long as bytes come.
void read_to_the_end(int socket) {
  std::string part(1 << 16, '\0');
  pollfd watched{.fd = socket, .events = POLLIN, .revents = 0};
  while (::poll(&watched, 1, -1) == 1 && ::recv(socket, part.data(), part.size(), 0) > 0) {
  }
  ::close(socket);
}

TEST(ConnectionAcceptor, EndsAFloodThatKeepsItsThread) {
  constexpr std::size_t kMostBytes = std::size_t{16} << 30;
  ConnectionMeter meter({.empty_bytes = {.burst = 1024, .per_second = 1}});
  ConnectionAcceptor acceptor({.host = "127.0.0.1", .port = 0}, {}, meter);
  acceptor.start(read_to_the_end);
  const Descriptor flood(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(acceptor.port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(flood.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string part(1 << 16, 'x');
  std::size_t sent = 0;
  ssize_t taken = 0;
  while (sent < kMostBytes && (taken = ::send(flood.get(), part.data(), part.size(), MSG_NOSIGNAL)) > 0) {
    sent += static_cast<std::size_t>(taken);
  }
  EXPECT_LT(sent, kMostBytes);
}

}  // namespace connection_acceptor_test
}  // namespace equipoise::coordinator
