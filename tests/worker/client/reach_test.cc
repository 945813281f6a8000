#include "worker/client/reach.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/descriptor.h"

namespace equipoise::reach_test {
namespace {

using std::chrono::milliseconds;

// A port of this machine, which answers from listen() on.
class LocalPort {
 public:
  LocalPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  void listen() { EXPECT_EQ(::listen(socket_.get(), 1), 0); }
  int port() const { return port_; }

 private:
  const Descriptor socket_;
  int port_ = 0;
};

TEST(Reach, IsWhetherAConnectionCanBeOpened) {
  LocalPort port;
  EXPECT_EQ(why_out_of_reach({.host = "127.0.0.1", .port = port.port()}, milliseconds(10'000)), "Connection refused");
  port.listen();
  EXPECT_EQ(why_out_of_reach({.host = "127.0.0.1", .port = port.port()}, milliseconds(10'000)), "");
  EXPECT_EQ(why_out_of_reach({.host = "localhost", .port = port.port()}, milliseconds(10'000)), "");
}

TEST(Reach, NeedsAHostThatIsKnown) {
  EXPECT_NE(why_out_of_reach({.host = "host.invalid", .port = 1}, milliseconds(10'000)), "");
  EXPECT_NE(why_out_of_reach({.host = "[::ffff]", .port = 1}, milliseconds(100)), "");
}

}  // namespace
}  // namespace equipoise::reach_test
