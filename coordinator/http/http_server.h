// An HTTP/1.1 server for requests with short answers and for streams of server-sent events: one thread moves all bytes,
// others make the answers. A connection or a stream takes a few KiB and no thread, whatever its other end does.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "coordinator/http/http_connection.h"
#include "coordinator/http/http_request.h"
#include "coordinator/http/http_response.h"
#include "coordinator/http/http_tls.h"
#include "coordinator/service/allowance.h"
#include "coordinator/service/call_pool.h"
#include "coordinator/service/listen_address.h"

namespace equipoise::coordinator {

struct HttpPeer {
  std::string text;  // "ipv4:127.0.0.1:5120"
  bool is_tls = false;
  std::string address = {};  // "127.0.0.1", "2001:db8::/64": who shares it shares limits
};

// An answer that goes on with what publish() is given for the topic.
struct HttpStream {
  std::string topic;
  std::shared_ptr<const void> place;  // kept until the stream has ended
};
using HttpReply = std::variant<HttpResponse, HttpStream>;
using HttpDone = std::function<void(HttpReply)>;
// What makes an answer, on another thread.
struct HttpWork {
  std::string caller;  // callers take turns
  // Calls what it is given once, then or later, from any thread. Throws nothing.
  std::function<void(const HttpDone&)> make;
};
using HttpTurn = std::variant<HttpResponse, HttpWork>;
// Lets a request in, or answers it, before anything waits: from the server's thread, so it returns at once. Throws
// nothing.
using HttpHandler = std::function<HttpTurn(const std::shared_ptr<const HttpRequest>&, const HttpPeer&)>;

struct HttpServerLimits {
  std::size_t connections = 2048;  // no more than half the files that this process may open
  Allowance new_of_address = {.burst = 2048, .per_second = 200};
  std::size_t streams = 1536;                         // no more than three quarters of the connections
  std::size_t output_bytes = std::size_t{128} << 20;  // of all answers that are not sent yet
  PoolSize answers = {.threads = 2, .most_waiting = 2048, .most_of_one = 256};
  std::chrono::milliseconds request{3000};  // from its first byte, or the connection's beginning, to its last
  std::chrono::seconds idle{30};            // between two requests
  std::chrono::seconds write{10};           // without a byte being taken
  std::chrono::seconds answer{60};          // to take a whole answer
  std::chrono::seconds quiet{15};           // on a stream, before a comment shows whether its other end is there
};

class HttpServer {
 public:
  // Serves when it returns. `on_watched` is told, from the server's thread, that somebody watches a topic that nobody
  // watched; it returns at once. Throws std::runtime_error where `listen` cannot be listened on.
  HttpServer(const ListenAddress& listen, std::optional<TlsFiles> tls, HttpServerLimits limits, HttpHandler handler,
             std::function<void()> on_watched);
  // stop().
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }
  // Closes every connection; neither the handler nor work of it is under way when it returns. What work has yet to be
  // done is to be called no more.
  void stop();

  enum class Last { kNo, kYes };
  // To all streams of `topic`, and first of all to those that begin later. An end that reads slowly misses what came
  // between. With Last::kYes the streams end behind it. From any thread.
  void publish(const std::string& topic, std::string event, Last last = Last::kNo);
  // The topics with a stream: how many, and a number that a topic has until its last stream ends.
  struct Watched {
    std::uint64_t number = 0;
    std::size_t streams = 0;
  };
  std::map<std::string, Watched> watched();

 private:
  using Time = HttpConnection::Time;
  using Id = std::uint64_t;
  struct Topic {
    std::uint64_t number = 0;
    std::unordered_set<Id> streams;
    SharedBytes newest;
    bool is_over = false;  // behind `newest`, which was published with Last::kYes
  };
  struct Message {  // for the server's thread: an answer, or an event
    Id connection = 0;
    std::optional<HttpReply> reply;
    bool is_head = false;
    std::string topic;
    SharedBytes event;
    Last last = Last::kNo;
  };

  void run();
  void accept_all(Time now);
  bool make_room(const std::string& address);
  void serve(Id id, std::uint32_t events, Time now);
  void read_from(Id id, HttpConnection& connection, Time now);
  void next_request(Id id, HttpConnection& connection, Time now);
  void refuse(Id id, HttpConnection& connection, const HttpResponse& response, Time now);
  void send(Id id, HttpConnection& connection, std::string bytes, Time now);
  void answer(Id id, HttpConnection& connection, const Message& message, Time now);
  void begin_stream(Id id, HttpConnection& connection, const HttpStream& stream, Time now);
  void write_to(Id id, HttpConnection& connection, Time now);
  void written(Id id, HttpConnection& connection, Time now);
  void show(const Message& message);
  void send_events(Time now);
  void take_messages(Time now);
  void look_at_times(Time now);
  bool is_overdue(const HttpConnection& connection, Time now) const;
  void ask_for_events(Id id, HttpConnection& connection);
  void close(Id id);
  void post(Message message);
  void wake();
  bool has_room_for(std::size_t bytes, const std::string& address) const;

  HttpServerLimits limits_;
  const HttpHandler handler_;
  const std::function<void()> on_watched_;
  std::unique_ptr<HttpTls> tls_;
  int listener_ = -1, epoll_ = -1, wake_ = -1;
  int port_ = 0;
  // Of the server's thread alone.
  Id next_id_ = 16;
  std::unordered_map<Id, std::unique_ptr<HttpConnection>> connections_;
  std::unordered_map<std::string, std::size_t> of_address_;  // connections
  AddressAllowances new_;
  std::size_t streams_ = 0;
  std::deque<Id> turns_;  // streams whose waiting event is to be sent, each once
  std::uint64_t topics_so_far_ = 0;
  bool accepts_ = true;
  Time looked_at_times_{}, looked_at_tls_{}, next_events_{};

  std::mutex mutex_;  // guards the two below
  std::vector<Message> messages_;
  std::unordered_map<std::string, Topic> topics_;
  std::atomic<bool> is_stopping_ = false;
  std::unique_ptr<CallPool> pool_;
  std::thread thread_;
};

}  // namespace equipoise::coordinator
