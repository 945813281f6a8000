#include "coordinator/http/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <latch>
#include <list>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "common/base/descriptor.h"

namespace equipoise::coordinator {
namespace http_server_test {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A client of its own address: all of 127.0.0.0/8 is this machine.
class Client {
 public:
  Client(int port, const std::string& from) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in own = address(from, 0), server = address("127.0.0.1", port);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof(own)), 0);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&server), sizeof(server)), 0);
  }
  void send(const std::string& bytes) const {
    EXPECT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  void ask(const std::string& path) const { send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"); }
  // Until so many answers of the handlers below, or the end.
  std::string answers(std::size_t count) const {
    std::string text;
    std::array<char, 4096> part{};
    while (count_of(text) < count) {
      const ssize_t bytes = ::recv(socket_.get(), part.data(), part.size(), 0);
      if (bytes <= 0) break;
      text.append(part.data(), static_cast<std::size_t>(bytes));
    }
    return text;
  }
  static std::size_t count_of(const std::string& text) {
    std::size_t count = 0;
    for (std::size_t at = text.find("\n.\n"); at != std::string::npos; at = text.find("\n.\n", at + 1)) ++count;
    return count;
  }

 private:
  static sockaddr_in address(const std::string& host, int port) {
    sockaddr_in found{};
    found.sin_family = AF_INET;
    found.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, host.c_str(), &found.sin_addr);
    return found;
  }
  Descriptor socket_;
};

HttpResponse said(const std::string& text) { return plain_answer(200, text + "\n."); }

// "/work" is made on a thread, once `may_go` is; "/stream" streams the topic "t"; all else is answered at once. All
// know the caller by its address.
class Served {
 public:
  explicit Served(HttpServerLimits limits)
      : server(
            {.host = "127.0.0.1", .port = 0}, std::nullopt, limits,
            [this](const std::shared_ptr<const HttpRequest>& request, const HttpPeer& peer) -> HttpTurn {
              if (request->path == "/stream") {
                return HttpWork{.caller = peer.address, .make = [](const HttpDone& done) {
                                  done(HttpStream{.topic = "t", .place = std::make_shared<int>(0)});
                                }};
              }
              if (request->path != "/work") return said("at once for " + peer.address);
              return HttpWork{.caller = peer.address, .make = [this, from = peer.address](const HttpDone& done) {
                                begun.release();
                                may_go.wait();
                                const std::lock_guard lock(mutex);
                                order.push_back(from);
                                done(said("work for " + from));
                              }};
            },
            [] {}) {}

  std::counting_semaphore<> begun{0};
  std::latch may_go{1};
  std::mutex mutex;
  std::vector<std::string> order;
  HttpServer server;
};

// Whoever is refused, or needs no work, was behind everybody's work in the queue.
TEST(HttpServer, AnswersWhatNeedsNoWorkWhileAllThreadsAreBusy) {
  Served served({.answers = {.threads = 2, .most_waiting = 100, .most_of_one = 4}});
  std::list<Client> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back(served.server.port(), "127.0.0.1").ask("/work");
    served.begun.acquire();
  }
  for (int i = 0; i < 4; ++i) busy.emplace_back(served.server.port(), "127.0.0.1").ask("/work");
  const Client other(served.server.port(), "127.0.0.2");
  other.ask("/");
  EXPECT_THAT(other.answers(1), HasSubstr("at once for 127.0.0.2"));
  served.may_go.count_down();
  for (const Client& client : busy) EXPECT_THAT(client.answers(1), HasSubstr("work for 127.0.0.1"));
}

TEST(HttpServer, LetsCallersTakeTurnsAndRefusesWhatOneHasTooMuchOf) {
  Served served({.answers = {.threads = 1, .most_waiting = 100, .most_of_one = 4}});
  std::list<Client> many;
  many.emplace_back(served.server.port(), "127.0.0.1").ask("/work");
  served.begun.acquire();
  std::size_t refused = 0;
  for (int i = 0; i < 6; ++i) many.emplace_back(served.server.port(), "127.0.0.1").ask("/work");
  const Client other(served.server.port(), "127.0.0.2");
  other.ask("/");
  other.answers(1);  // what came before it has been looked at
  other.ask("/work");
  const Client third(served.server.port(), "127.0.0.3");
  third.ask("/");
  third.answers(1);
  served.may_go.count_down();
  EXPECT_THAT(other.answers(1), HasSubstr("work for 127.0.0.2"));
  for (const Client& client : many) refused += client.answers(1).starts_with("HTTP/1.1 503 ") ? 1U : 0U;
  EXPECT_EQ(refused, 2U);
  const std::lock_guard lock(served.mutex);
  ASSERT_GE(served.order.size(), 3U);
  EXPECT_THAT((std::vector<std::string>{served.order[1], served.order[2]}), ::testing::Contains("127.0.0.2"));
}

TEST(HttpServer, AnswersThousandsOfRequestsThatCameAtOnce) {
  Served served({});
  const Client client(served.server.port(), "127.0.0.1");
  std::string requests;
  for (int i = 0; i < 2000; ++i) requests += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  std::thread sender([&] { client.send(requests); });
  EXPECT_EQ(Client::count_of(client.answers(2000)), 2000U);
  sender.join();
}

// One address with as many connections as there may be, all of them busy, kept everybody else out.
TEST(HttpServer, TakesAConnectionFromTheAddressThatHasMost) {
  Served served({.connections = 16});
  std::list<Client> many;
  for (int i = 0; i < 16; ++i) many.emplace_back(served.server.port(), "127.0.0.1").ask("/work");
  for (int i = 0; i < 2; ++i) served.begun.acquire();
  std::list<Client> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back(served.server.port(), "127.0.0.2").ask("/");
    EXPECT_THAT(others.back().answers(1), HasSubstr("at once for 127.0.0.2")) << i;
  }
  // And it takes none of theirs, though that is idle.
  const Client one_more(served.server.port(), "127.0.0.1");
  EXPECT_EQ(one_more.answers(1), "");
  others.back().ask("/");
  EXPECT_THAT(others.back().answers(1), StartsWith("HTTP/1.1 200 "));
  served.may_go.count_down();
}

TEST(HttpServer, ClosesConnectionsOfAnAddressThatMakesOneAfterTheOther) {
  Served served({.new_of_address = {.burst = 3, .per_second = 0.001}});
  Client first(served.server.port(), "127.0.0.1");
  for (int i = 0; i < 2; ++i) {
    Client next(served.server.port(), "127.0.0.1");
    next.ask("/");
    EXPECT_THAT(next.answers(1), StartsWith("HTTP/1.1 200 ")) << i;
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Client(served.server.port(), "127.0.0.1").answers(1), "") << i;
  Client other(served.server.port(), "127.0.0.2");
  for (Client* client : {&first, &other}) {
    client->ask("/");
    EXPECT_THAT(client->answers(1), StartsWith("HTTP/1.1 200 "));
  }
}

// Events are sent to a few streams at a time: what is published before all had their turn takes the place of the event
// that they wait for, and the last one reaches each of them.
TEST(HttpServer, SendsTheNewestEventToEveryStreamHoweverFastTheyCome) {
  constexpr std::size_t kStreams = 120;
  constexpr int kEvents = 400;
  Served served({});
  std::list<Client> clients;
  for (std::size_t i = 0; i < kStreams; ++i) clients.emplace_back(served.server.port(), "127.0.0.1").ask("/stream");
  const auto streams = [&] {
    const auto watched = served.server.watched();
    return watched.contains("t") ? watched.at("t").streams : 0;
  };
  while (streams() < kStreams) std::this_thread::yield();
  for (int event = 1; event < kEvents; ++event) served.server.publish("t", "event " + std::to_string(event) + ";");
  served.server.publish("t", "the last;\n.\n", HttpServer::Last::kYes);
  std::size_t all = 0;
  for (const Client& client : clients) {
    const std::string text = client.answers(2);  // and there is no second: the stream ends behind it
    EXPECT_EQ(Client::count_of(text), 1U);
    EXPECT_THAT(text, ::testing::EndsWith("the last;\n.\n"));
    int before = 0;
    for (std::size_t at = text.find("event "); at != std::string::npos; at = text.find("event ", at + 1), ++all) {
      const int event = std::stoi(text.substr(at + 6));
      EXPECT_GT(event, before);
      before = event;
    }
  }
  EXPECT_LT(all, kStreams * (kEvents - 1)) << "none was passed over";
}

}  // namespace http_server_test
}  // namespace equipoise::coordinator
