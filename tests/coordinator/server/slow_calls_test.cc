// Calls whose caller is slow, by intent or not: messages that are announced and do not arrive, answers that nobody
// takes. HTTP/2 is written out by hand.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/descriptor.h"
#include "common/protocol/attempt_token.h"
#include "tests/coordinator/support/server_fixture.h"

namespace equipoise::coordinator {
namespace slow_calls_test {

using namespace std::chrono_literals;

enum Kind : std::uint8_t { kData = 0, kHeaders = 1, kReset = 3, kSettings = 4 };
constexpr std::uint8_t kEndStream = 1, kEndHeaders = 4, kAcknowledged = 1;

struct Frame {
  std::uint8_t kind = 0, flags = 0;
  std::uint32_t stream = 0;
  std::string content = {};
};

std::string big_endian(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}

std::string frame_bytes(const Frame& frame) {
  std::string bytes = big_endian(static_cast<std::uint32_t>(frame.content.size()), 3);
  bytes += static_cast<char>(frame.kind);
  bytes += static_cast<char>(frame.flags);
  return bytes + big_endian(frame.stream, 4) + frame.content;
}

// A client of gRPC as far as these tests need one.
class RawClient {
 public:
  // window  bytes of an answer that it takes before it is asked for more, which it never does
  explicit RawClient(const std::string& text, std::uint32_t window = 65'535)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const ListenAddress address = parse_listen_address("gRPC", text);
    sockaddr_in remote{};
    remote.sin_family = AF_INET;
    remote.sin_port = htons(static_cast<std::uint16_t>(address.port));
    ::inet_pton(AF_INET, address.host.c_str(), &remote.sin_addr);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&remote), sizeof(remote)), 0);
    constexpr std::uint32_t kInitialWindow = 4;
    write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    send({.kind = kSettings, .content = big_endian(kInitialWindow, 2) + big_endian(window, 4)});
  }
  void begin(std::uint32_t stream, const std::string& method, const std::string& token = "") {
    std::string fields = "\x83\x86";  // POST, http
    fields += field(":path", method) + field(":authority", "x") + field("content-type", "application/grpc");
    fields += field("te", "trailers");
    if (!token.empty()) fields += field(kAttemptTokenMetadata, token);
    send({.kind = kHeaders, .flags = kEndHeaders, .stream = stream, .content = fields});
  }
  // Of the message of a call; `announced` of its bytes are to come.
  void begin_message(std::uint32_t stream, std::uint32_t announced, const std::string& some) {
    send({.kind = kData, .stream = stream, .content = std::string(1, '\0') + big_endian(announced, 4) + some});
  }
  void send_message(std::uint32_t stream, const std::string& message) {
    begin_message(stream, static_cast<std::uint32_t>(message.size()), message);
    send({.kind = kData, .flags = kEndStream, .stream = stream});
  }
  void send(const Frame& frame) { write(frame_bytes(frame)); }
  // The next frame of a stream; none where the connection ends, or nothing comes for `patience`.
  std::optional<Frame> next(std::uint32_t stream, std::chrono::milliseconds patience = 60s) {
    while (true) {
      std::optional<Frame> frame = whole_frame();
      if (!frame && !read_some(patience)) return std::nullopt;
      if (!frame) continue;
      if (frame->kind == kSettings && (frame->flags & kAcknowledged) == 0)
        send({.kind = kSettings, .flags = kAcknowledged});
      if (frame->stream == stream) return frame;
    }
  }
  // How the stream ends: by a reset, or by an answer, which may be that it was cancelled.
  enum class End { kReset, kAnswer, kNone };
  End end_of(std::uint32_t stream) {
    while (const auto frame = next(stream)) {
      if (frame->kind == kReset) return End::kReset;
      if ((frame->kind == kHeaders || frame->kind == kData) && (frame->flags & kEndStream) != 0) return End::kAnswer;
    }
    return End::kNone;
  }

 private:
  // Without an index and without compression.
  static std::string field(std::string_view name, std::string_view value) {
    std::string text(1, '\0');
    for (const std::string_view part : {name, value}) {
      constexpr std::size_t kShort = 127;
      if (part.size() < kShort) {
        text += static_cast<char>(part.size());
      } else {
        text += static_cast<char>(kShort);
        text += static_cast<char>(part.size() - kShort);
      }
      text += part;
    }
    return text;
  }
  void write(const std::string& bytes) {
    static_cast<void>(!::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  std::optional<Frame> whole_frame() {
    constexpr std::size_t kHead = 9;
    if (received_.size() < kHead) return std::nullopt;
    const auto number = [this](std::size_t at, std::size_t bytes) {
      std::uint32_t value = 0;
      for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(received_[at + i]);
      return value;
    };
    const std::size_t length = number(0, 3);
    if (received_.size() < kHead + length) return std::nullopt;
    Frame frame{.kind = static_cast<std::uint8_t>(number(3, 1)),
                .flags = static_cast<std::uint8_t>(number(4, 1)),
                .stream = number(5, 4),
                .content = received_.substr(kHead, length)};
    received_.erase(0, kHead + length);
    return frame;
  }
  bool read_some(std::chrono::milliseconds patience) {
    pollfd watched{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&watched, 1, static_cast<int>(patience.count())) != 1) return false;
    std::array<char, 4096> part{};
    const ssize_t length = ::recv(socket_.get(), part.data(), part.size(), 0);
    if (length > 0) received_.append(part.data(), static_cast<std::size_t>(length));
    return length > 0;
  }

  Descriptor socket_;
  std::string received_;
};

const std::string kList = "/equipoise.v1.TrainingJobService/ListTrainingJobs";
const std::vector<std::string> kMethods = {kList,
                                           "/equipoise.v1.TrainingJobService/CreateTrainingJob",
                                           "/equipoise.v1.TrainingJobService/WatchTrainingJob",
                                           "/equipoise.v1.HostService/ListHosts",
                                           "/equipoise.v1.WorkerService/ReportSteps",
                                           "/equipoise.v1.WorkerService/RegisterWorker",
                                           "/grpc.health.v1.Health/Check",
                                           "/grpc.health.v1.Health/Watch",
                                           "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};

class SlowCallsTest : public ServerFixture {
 protected:
  SlowCallsTest() {
    settings_.call_waits = {.tick = 20ms, .message_ticks = 5, .reader_ticks = 5};
    restart();
  }
};

// Each kept its connection, and what had come of it, for ever.
TEST_F(SlowCallsTest, AMessageThatStopsEndsItsCallAndNotItsConnection) {
  RawClient client(server_->address());
  std::uint32_t stream = 1;
  for (const std::string& method : kMethods) {
    client.begin(stream, method, "a token");
    client.begin_message(stream, 1000, "some of it");
    EXPECT_NE(client.end_of(stream), RawClient::End::kNone) << method;
    stream += 2;
  }
  client.begin(stream, kList);
  client.send_message(stream, "");
  EXPECT_EQ(client.end_of(stream), RawClient::End::kAnswer);
}

TEST_F(SlowCallsTest, ACallWithoutAMessageEndsToo) {
  RawClient client(server_->address());
  std::uint32_t stream = 1;
  for (const std::string& method : kMethods) {
    client.begin(stream, method, "a token");
    EXPECT_NE(client.end_of(stream), RawClient::End::kNone) << method;
    stream += 2;
  }
}

// That a byte has come is no reason to wait longer.
TEST_F(SlowCallsTest, AMessageThatTricklesEndsItsCall) {
  RawClient client(server_->address());
  client.begin(1, kList);
  client.begin_message(1, 1'000'000, "");
  bool is_reset = false;
  for (int byte = 0; byte < 100'000 && !is_reset; ++byte) {
    client.send({.kind = kData, .stream = 1, .content = "x"});
    const auto frame = client.next(1, 1ms);
    is_reset = frame && frame->kind == kReset;
  }
  EXPECT_TRUE(is_reset);
}

// The caller's window is closed: no byte of an answer may be sent.
TEST_F(SlowCallsTest, AnAnswerThatNobodyTakesEndsItsCall) {
  const std::string id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  v1::WatchTrainingJobRequest watched;
  watched.set_id(id);
  RawClient client(server_->address(), 0);
  std::uint32_t stream = 1;
  for (const auto& [method, message] : std::vector<std::pair<std::string, std::string>>{
           {kList, ""},
           {"/equipoise.v1.TrainingJobService/WatchTrainingJob", watched.SerializeAsString()},
           {"/grpc.health.v1.Health/Check", ""},
           {"/grpc.health.v1.Health/Watch", ""},
           {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", std::string("\x3a\0", 2)}}) {
    client.begin(stream, method);
    client.send_message(stream, message);
    EXPECT_NE(client.end_of(stream), RawClient::End::kNone) << method;
    stream += 2;
  }
}

// One that has taken all there was waits for news for as long as it likes.
TEST_F(SlowCallsTest, AWatcherMayWait) {
  const std::string id = create(v1::LAUNCH_MODE_EXTERNAL, 1).id();
  grpc::ClientContext context;
  v1::WatchTrainingJobRequest request;
  request.set_id(id);
  const auto reader = training_jobs_->WatchTrainingJob(&context, request);
  v1::TrainingJob job;
  ASSERT_TRUE(reader->Read(&job));
  RawClient slow(server_->address());  // whose end tells that more time has passed than an answer has
  slow.begin(1, kList);
  EXPECT_NE(slow.end_of(1), RawClient::End::kNone);
  expect_to_see_the_cancel(id, *reader);
}

}  // namespace slow_calls_test
}  // namespace equipoise::coordinator
