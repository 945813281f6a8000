// Connections of the gRPC port, those of which no call comes among them.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "common/base/descriptor.h"
#include "coordinator/service/listening_socket.h"
#include "tests/coordinator/support/server_fixture.h"

namespace equipoise::coordinator {
namespace connection_limits_test {

using namespace std::chrono_literals;

// A client's first words of HTTP/2: the preface, and no settings of its own.
const std::string kHello = std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + std::string("\0\0\0\4\0\0\0\0\0", 9);

class RawConnection {
 public:
  explicit RawConnection(const std::string& text) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const ListenAddress address = parse_listen_address("gRPC", text);
    sockaddr_in remote{};
    remote.sin_family = AF_INET;
    remote.sin_port = htons(static_cast<std::uint16_t>(address.port));
    ::inet_pton(AF_INET, address.host.c_str(), &remote.sin_addr);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&remote), sizeof(remote)), 0);
    static_cast<void>(!::send(socket_.get(), kHello.data(), kHello.size(), MSG_NOSIGNAL));
  }
  // All that comes until the other end closes.
  std::string read_to_the_end() {
    std::string all;
    while (read_some(all)) {
    }
    return all;
  }
  // Whether the other end serves it: it has said hello.
  bool is_taken() {
    std::string all;
    return read_some(all) && !all.empty();
  }

 private:
  bool read_some(std::string& all) {
    pollfd watched{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&watched, 1, 60'000), 1) << "nothing comes, and no end";
    std::array<char, 4096> part{};
    const ssize_t length = ::recv(socket_.get(), part.data(), part.size(), 0);
    if (length > 0) all.append(part.data(), static_cast<std::size_t>(length));
    return length > 0;
  }
  Descriptor socket_;
};

class ConnectionLimitsTest : public ServerFixture {
 protected:
  void restart_with(ConnectionLimits limits) {
    settings_.connections = limits;
    restart();
  }
  bool is_answered() {
    channel_ = grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), own_connection());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 60s);
    context.set_wait_for_ready(true);
    v1::ListTrainingJobsResponse response;
    return v1::TrainingJobService::NewStub(channel_)->ListTrainingJobs(&context, {}, &response).ok();
  }
  static grpc::ChannelArguments own_connection() {
    grpc::ChannelArguments arguments;
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    return arguments;
  }
};

TEST_F(ConnectionLimitsTest, BeyondThemAConnectionIsClosedAtOnceAndThoseBeforeGoOn) {
  restart_with({.most = 100, .most_of_address = 3});
  ASSERT_TRUE(is_answered());
  std::vector<std::unique_ptr<RawConnection>> others;
  for (int i = 0; i < 2; ++i) others.push_back(std::make_unique<RawConnection>(server_->address()));
  for (const auto& one : others) EXPECT_TRUE(one->is_taken());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RawConnection(server_->address()).read_to_the_end(), "");
  v1::TrainingJob job;
  EXPECT_EQ(get("survey-00000000", job).error_code(), grpc::StatusCode::UNAVAILABLE) << "of another connection";
  grpc::ClientContext context;
  v1::ListTrainingJobsResponse response;
  EXPECT_TRUE(v1::TrainingJobService::NewStub(channel_)->ListTrainingJobs(&context, {}, &response).ok());
  others.clear();
  EXPECT_TRUE(is_answered()) << "those that have gone make room";
}

// Those that are gone count too: each may cost a handshake.
TEST_F(ConnectionLimitsTest, AnAddressThatMakesOneAfterTheOtherIsClosedAtOnceAndThoseBeforeGoOn) {
  restart_with({.new_of_address = {.burst = 3, .per_second = 0.001}});
  ASSERT_TRUE(is_answered());
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(RawConnection(server_->address()).is_taken()) << i;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RawConnection(server_->address()).read_to_the_end(), "") << i;
  grpc::ClientContext context;
  v1::ListTrainingJobsResponse response;
  EXPECT_TRUE(v1::TrainingJobService::NewStub(channel_)->ListTrainingJobs(&context, {}, &response).ok());
}

TEST_F(ConnectionLimitsTest, OneWithoutACallIsClosedAfterAWhile) {
  restart_with({.idle_ms = 200});
  RawConnection idle(server_->address());
  EXPECT_NE(idle.read_to_the_end(), "") << "it was served before";
  EXPECT_TRUE(is_answered());
}

// A watch is a call, however little there is to tell.
TEST_F(ConnectionLimitsTest, OneWithAWatcherIsNotIdle) {
  restart_with({.idle_ms = 200});
  const std::string watched = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  grpc::ClientContext context;
  v1::WatchTrainingJobRequest request;
  request.set_id(watched);
  const auto reader = training_jobs_->WatchTrainingJob(&context, request);
  v1::TrainingJob job;
  ASSERT_TRUE(reader->Read(&job));
  RawConnection idle(server_->address());
  idle.read_to_the_end();
  RawConnection(server_->address()).read_to_the_end();
  expect_to_see_the_cancel(watched, *reader);
}

TEST(ListeningSockets, TakeEveryAddressOfANameOnOnePort) {
  std::vector<int> sockets = listening_sockets({.host = "localhost", .port = 0});
  ASSERT_FALSE(sockets.empty());
  for (const int socket : sockets) EXPECT_EQ(port_of(socket), port_of(sockets.front()));
  EXPECT_THROW(listening_sockets({.host = "localhost", .port = port_of(sockets.front())}), std::runtime_error);
  EXPECT_THROW(listening_sockets({.host = "no.such.host.invalid", .port = 0}), std::runtime_error);
  for (const int socket : sockets) ::close(socket);
}

TEST(PeerOf, CountsANetworkOfIpv6AndAMappedAddressOfIpv4AsOneCaller) {
  const auto address_of = [](const char* text) {
    sockaddr_storage storage{};
    auto& address = reinterpret_cast<sockaddr_in6&>(storage);
    address.sin6_family = AF_INET6;
    ::inet_pton(AF_INET6, text, &address.sin6_addr);
    return peer_of(storage).address;
  };
  EXPECT_EQ(address_of("2001:db8::1"), address_of("2001:db8::ffff:2"));
  EXPECT_NE(address_of("2001:db8::1"), address_of("2001:db8:0:1::1"));
  EXPECT_EQ(address_of("::ffff:10.0.0.7"), "10.0.0.7");
}

}  // namespace connection_limits_test
}  // namespace equipoise::coordinator
