#include "coordinator/service/connection_meter.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "common/base/descriptor.h"

namespace equipoise::coordinator {
namespace connection_meter_test {

using namespace std::chrono_literals;

// Both ends of a connection over loopback.
struct Ends {
  Ends() {
    const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
    EXPECT_EQ(::connect(theirs.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    sockaddr_storage from{};
    socklen_t from_length = sizeof(from);
    ours = ::accept4(listener.get(), reinterpret_cast<sockaddr*>(&from), &from_length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    peer = peer_of(from);
  }
  ~Ends() {
    if (ours >= 0) ::close(ours);
  }
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;
  void send(std::size_t bytes) const {
    const std::string text(bytes, 'x');
    EXPECT_EQ(::send(theirs.get(), text.data(), bytes, MSG_NOSIGNAL), static_cast<ssize_t>(bytes));
  }
  void read(std::size_t bytes) const {
    std::string text(bytes, ' ');
    for (std::size_t got = 0; got < bytes;) {
      const ssize_t part = ::recv(ours, text.data(), bytes - got, 0);
      if (part > 0) got += static_cast<std::size_t>(part);
    }
  }
  // Of what was sent, nothing can be read any more where it was ended.
  bool is_ended() const {
    std::array<char, 16> some{};
    return ::recv(ours, some.data(), some.size(), MSG_PEEK) < 0 && errno != EAGAIN;
  }

  Descriptor theirs{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  int ours = -1;
  SocketPeer peer;
};

constexpr FloodLimits kLimits{.calls_under_way = 5,
                              .vain_calls = {.burst = 3, .per_second = 0},
                              .vain_calls_of_address = {.burst = 5, .per_second = 0},
                              .few_vain_calls = 1,
                              .empty_bytes = {.burst = 1000, .per_second = 0}};

TEST(ConnectionMeter, KnowsAConnectionByWhatGrpcCallsItsEnd) {
  ConnectionMeter meter;
  const Ends ends;
  sockaddr_storage storage{};
  auto& address = reinterpret_cast<sockaddr_in6&>(storage);
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(5120);
  for (const auto& [text, grpc_text] : {std::pair{"::1", "ipv6:%5B::1%5D:5120"},
                                        {"fd00::7", "ipv6:%5Bfd00::7%5D:5120"},
                                        {"::ffff:10.0.0.7", "ipv4:10.0.0.7:5120"}}) {
    ::inet_pton(AF_INET6, text, &address.sin6_addr);
    EXPECT_EQ(meter.of(grpc_text), nullptr);
    meter.add(ends.ours, peer_of(storage));
    EXPECT_NE(meter.of(grpc_text), nullptr) << text;
  }
}

TEST(ConnectionMeter, TooManyCallsInVainEndTheirConnectionAlone) {
  ConnectionMeter meter(kLimits);
  const Ends flood, other;
  for (const Ends* const ends : {&flood, &other}) {
    meter.add(ends->ours, ends->peer);
    ends->send(10);
  }
  const auto connection = meter.of(flood.peer.text);
  for (int call = 0; call < 3; ++call) meter.note_vain_call(*connection);
  EXPECT_FALSE(flood.is_ended());
  meter.note_vain_call(*connection);
  EXPECT_TRUE(flood.is_ended()) << "and what it has sent cannot be read";
  EXPECT_FALSE(other.is_ended());
}

TEST(ConnectionMeter, AnAddressHasSoManyOverAllItsConnections) {
  ConnectionMeter meter(kLimits);
  const Ends first, second, quiet;
  for (const Ends* const ends : {&first, &second, &quiet}) {
    meter.add(ends->ours, ends->peer);
    ends->send(10);
  }
  for (int call = 0; call < 3; ++call) meter.note_vain_call(*meter.of(first.peer.text));
  for (int call = 0; call < 2; ++call) meter.note_vain_call(*meter.of(second.peer.text));
  EXPECT_FALSE(second.is_ended());
  meter.note_vain_call(*meter.of(second.peer.text));
  EXPECT_TRUE(second.is_ended());
  EXPECT_FALSE(first.is_ended() || quiet.is_ended());
}

TEST(ConnectionMeter, CallsThatHaveNotEndedHereAreBoundedToo) {
  ConnectionMeter meter(kLimits);
  const Ends ends;
  meter.add(ends.ours, ends.peer);
  ends.send(10);
  const auto connection = meter.of(ends.peer.text);
  for (int call = 0; call < 6; ++call) meter.begin_call(*connection);
  connection->end_call();
  meter.begin_call(*connection);
  EXPECT_FALSE(ends.is_ended());
  meter.begin_call(*connection);
  EXPECT_TRUE(ends.is_ended());
}

TEST(ConnectionMeter, BytesOfMessagesAreNoFlood) {
  ConnectionMeter meter(kLimits);
  const Ends serves, floods, awaits;
  for (const Ends* const ends : {&serves, &floods, &awaits}) meter.add(ends->ours, ends->peer);
  const auto served = meter.of(serves.peer.text);
  served->begin_message();
  meter.of(awaits.peer.text)->begin_message();
  for (const Ends* const ends : {&serves, &floods, &awaits}) {
    ends->send(6000);
    for (int look = 0; look < 10; ++look) meter.look();
    EXPECT_FALSE(ends->is_ended()) << "what nobody has read may be a message";
    ends->read(6000);
  }
  served->end_message(5000);
  // The kernel takes a moment to hand the bytes over.
  for (int look = 0; look < 10'000 && !floods.is_ended(); ++look) meter.look();
  EXPECT_TRUE(floods.is_ended());
  EXPECT_FALSE(serves.is_ended() || awaits.is_ended());
}

// The kernel is asked for what has come, and then for what of it waits: bytes that came between made the connection
// look as if it had received less than before, and that difference was without a sign.
TEST(ConnectionMeter, EndsNobodyWhoseBytesComeWhileItLooks) {
  ConnectionMeter meter;
  const Ends ends;
  meter.add(ends.ours, ends.peer);
  std::atomic<bool> is_over = false;
  std::thread looks([&] {
    while (!is_over) static_cast<void>(meter.look());
  });
  int taken = 0;
  constexpr int kBytes = 100'000;
  for (char byte = 'x'; taken < kBytes; ++taken) {
    if (::send(ends.theirs.get(), &byte, 1, MSG_NOSIGNAL) != 1) break;
    ssize_t got = -1;
    while (got < 0 && (got = ::recv(ends.ours, &byte, 1, 0)) < 0 && errno == EAGAIN) {
    }
    if (got != 1) break;
  }
  is_over = true;
  looks.join();
  EXPECT_EQ(taken, kBytes);
}

TEST(ConnectionMeter, ForgetsWhatIsClosed) {
  ConnectionMeter meter(kLimits);
  {
    const Ends ends;
    meter.add(ends.ours, ends.peer);
    EXPECT_EQ(meter.look(), 20ms);
  }
  EXPECT_EQ(meter.look(), std::nullopt) << "and nobody need look again";
}

}  // namespace connection_meter_test
}  // namespace equipoise::coordinator
