#include "coordinator/http/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <tuple>
#include <utility>

#include "coordinator/service/listening_socket.h"

namespace equipoise::coordinator {
namespace {

using namespace std::chrono_literals;
using Phase = HttpConnection::Phase;
using Step = HttpConnection::Step;

constexpr auto kBetweenLooks = 250ms;  // at the times of connections
constexpr auto kBetweenTlsLooks = 5s;
// An event of many streams is sent to so many of them at a time, with a pause between: sent to all at once it would
// take a processor from ranks that report for longer than their report takes.
constexpr int kEventsAtOnce = 4;
constexpr auto kBetweenEvents = 1ms;
constexpr auto kDrain = 1s;
constexpr int kDrainedAtOnce = 64;                     // parts of 16 KiB
constexpr std::uint64_t kListenerId = 1, kWakeId = 2;  // connections have larger ones
constexpr std::string_view kComment = ":\n\n";

}  // namespace

HttpServer::HttpServer(const ListenAddress& listen, std::optional<TlsFiles> tls, HttpServerLimits limits,
                       HttpHandler handler, std::function<void()> on_watched)
    : limits_(limits), handler_(std::move(handler)), on_watched_(std::move(on_watched)), new_(limits.new_of_address) {
  limits_.connections = std::max<std::size_t>(16, std::min(limits_.connections, most_open_files() / 2));
  limits_.streams = std::min(limits_.streams, limits_.connections / 4 * 3);
  if (tls) tls_ = std::make_unique<HttpTls>(*tls);
  listener_ = listening_socket(listen);
  port_ = port_of(listener_);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  for (const auto& [descriptor, id] : {std::pair(listener_, kListenerId), std::pair(wake_, kWakeId)}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
  }
  pool_ = std::make_unique<CallPool>(limits_.answers);
  thread_ = std::thread([this] { run(); });
}

HttpServer::~HttpServer() { stop(); }

void HttpServer::stop() {
  if (!thread_.joinable()) return;
  is_stopping_ = true;
  wake();
  thread_.join();
  pool_.reset();  // answers that are being made post what nobody reads
  connections_.clear();
  for (const int descriptor : {listener_, epoll_, wake_}) ::close(descriptor);
}

void HttpServer::wake() {
  constexpr std::uint64_t kOne = 1;
  static_cast<void>(!::write(wake_, &kOne, sizeof(kOne)));
}

void HttpServer::post(Message message) {
  {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
  }
  wake();
}

void HttpServer::publish(const std::string& topic, std::string event, Last last) {
  Message message;
  message.topic = topic;
  message.event = std::make_shared<const std::string>(std::move(event));
  message.last = last;
  post(std::move(message));
}

std::map<std::string, HttpServer::Watched> HttpServer::watched() {
  const std::lock_guard lock(mutex_);
  std::map<std::string, Watched> found;
  for (const auto& [name, topic] : topics_) {
    found.emplace(name, Watched{.number = topic.number, .streams = topic.streams.size()});
  }
  return found;
}

void HttpServer::run() {
  std::array<epoll_event, 256> events{};
  while (!is_stopping_) {
    const std::chrono::milliseconds longest = turns_.empty() ? kBetweenLooks : kBetweenEvents;
    const int count =
        ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(longest.count()));
    const Time now = std::chrono::steady_clock::now();
    for (int at = 0; at < count; ++at) {
      const epoll_event& event = events[static_cast<std::size_t>(at)];
      if (event.data.u64 == kListenerId) {
        accept_all(now);
      } else if (event.data.u64 == kWakeId) {
        std::uint64_t ignored = 0;
        static_cast<void>(!::read(wake_, &ignored, sizeof(ignored)));
      } else {
        serve(event.data.u64, event.events, now);
      }
    }
    take_messages(now);
    if (now >= next_events_) send_events(now);
    if (now - looked_at_times_ >= kBetweenLooks) look_at_times(now);
  }
}

void HttpServer::accept_all(Time now) {
  constexpr int kAtOnce = 64;
  for (int accepted = 0; accepted < kAtOnce; ++accepted) {
    sockaddr_storage address{};
    socklen_t length = sizeof(address);
    const int socket =
        ::accept4(listener_, reinterpret_cast<sockaddr*>(&address), &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
      if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
      // Until the next look at the times: else epoll would tell of it for ever.
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_, nullptr);
      accepts_ = false;
      return;
    }
    constexpr int kOn = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof(kOn));
    auto connection = std::make_unique<HttpConnection>(socket, peer_of(address), now);
    const std::string& from = connection->peer().address;
    if (!new_.take(from, now)) continue;                                           // closed
    if (connections_.size() >= limits_.connections && !make_room(from)) continue;  // closed
    const Id id = next_id_++;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) != 0) continue;
    ++of_address_[from];
    connections_.emplace(id, std::move(connection));
  }
}

// The one that has asked for nothing for longest goes, of the address that has most; where all are busy, the oldest of
// it. No address takes a place from one that has fewer.
bool HttpServer::make_room(const std::string& address) {
  const auto known = of_address_.find(address);
  const std::size_t own = known == of_address_.end() ? 0 : known->second;
  Id chosen = 0;
  std::tuple<bool, std::size_t, Time::duration> best{};  // idle, connections of its address, older
  for (const auto& [id, connection] : connections_) {
    const bool is_idle = connection->phase == Phase::kBeginning || connection->phase == Phase::kReading ||
                         connection->phase == Phase::kDraining;
    const std::size_t others = of_address_.at(connection->peer().address);
    const bool may_go = is_idle ? others >= own : others > own + 1;
    const std::tuple candidate(is_idle, others, -connection->since().time_since_epoch());
    if (!may_go || (chosen != 0 && candidate <= best)) continue;
    chosen = id;
    best = candidate;
  }
  if (chosen == 0) return false;
  close(chosen);
  return true;
}

void HttpServer::serve(Id id, std::uint32_t events, Time now) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  HttpConnection& connection = *found->second;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) return close(id);
  if (connection.has_output()) {
    // TLS may have to read before it can write.
    if ((events & EPOLLOUT) != 0 || connection.is_tls()) return write_to(id, connection, now);
    return;
  }
  if ((events & (EPOLLIN | EPOLLOUT)) != 0) read_from(id, connection, now);
}

void HttpServer::read_from(Id id, HttpConnection& connection, Time now) {
  if (connection.phase == Phase::kBeginning) {
    const Step step = connection.begin(tls_.get());
    if (step == Step::kGone) return close(id);
    if (step == Step::kWaits) return;
    connection.begin_phase(Phase::kReading, connection.since());
  }
  if (connection.phase == Phase::kAnswering) return ask_for_events(id, connection);
  std::string bytes;
  // Again and again, as what TLS has read already does not show in epoll.
  for (int part = 0;; ++part) {
    if (is_stopping_) return;
    const Step step = connection.receive(bytes);
    if (step == Step::kGone) return close(id);
    if (step == Step::kWaits) return ask_for_events(id, connection);
    if (connection.phase == Phase::kStreaming) return close(id);  // nothing is asked on a stream
    if (connection.phase == Phase::kDraining) {
      if (part < kDrainedAtOnce) continue;
      return close(id);
    }
    if (connection.reader().is_empty() && connection.phase == Phase::kReading) {
      connection.begin_phase(Phase::kReading, now);  // its first byte
    }
    connection.note_move(now);
    connection.reader().read(bytes);
    if (connection.reader().state() != HttpRequestReader::State::kMore) return next_request(id, connection, now);
  }
}

void HttpServer::next_request(Id id, HttpConnection& connection, Time now) {
  HttpRequestReader& reader = connection.reader();
  if (reader.state() == HttpRequestReader::State::kRefused) {
    return refuse(id, connection, plain_answer(reader.status(), "this is no request that the service understands"),
                  now);
  }
  if (reader.state() == HttpRequestReader::State::kMore) return ask_for_events(id, connection);
  const auto request = std::make_shared<const HttpRequest>(reader.take());
  connection.closes_after_answer = !request->keeps_alive;
  connection.begin_phase(Phase::kAnswering, now);
  // Answered with the other messages, not here: the requests of a connection could follow each other without end.
  const auto done = [this, id, is_head = request->method == "HEAD"](HttpReply reply) {
    Message message;
    message.connection = id;
    message.is_head = is_head;
    message.reply = std::move(reply);
    post(std::move(message));
  };
  HttpTurn turn = handler_(request, {connection.peer().text, connection.is_tls(), connection.peer().address});
  if (auto* const response = std::get_if<HttpResponse>(&turn)) {
    done(std::move(*response));
    return ask_for_events(id, connection);
  }
  auto& work = std::get<HttpWork>(turn);
  const bool is_taken = pool_->run(work.caller, [this, make = std::move(work.make), done] {
    if (!is_stopping_) make(done);
  });
  if (!is_taken) {
    HttpResponse busy = plain_answer(503, "too many requests are waiting for an answer; try again later");
    busy.fields.emplace_back("Retry-After", "1");
    return refuse(id, connection, busy, now);
  }
  ask_for_events(id, connection);
}

void HttpServer::refuse(Id id, HttpConnection& connection, const HttpResponse& response, Time now) {
  connection.closes_after_answer = true;
  send(id, connection, response_bytes(response, AfterAnswer::kClose, AnswerPart::kWhole), now);
}

void HttpServer::send(Id id, HttpConnection& connection, std::string bytes, Time now) {
  connection.begin_phase(Phase::kWriting, now);
  connection.note_move(now);
  connection.queue(std::make_shared<const std::string>(std::move(bytes)));
  write_to(id, connection, now);
}

// Half of it is the most that one address has.
bool HttpServer::has_room_for(std::size_t bytes, const std::string& address) const {
  std::size_t all = bytes, own = bytes;
  for (const auto& [id, connection] : connections_) {
    if (connection->phase != Phase::kWriting || !connection->has_output()) continue;
    all += connection->output_bytes();
    if (connection->peer().address == address) own += connection->output_bytes();
  }
  return all <= limits_.output_bytes && own <= limits_.output_bytes / 2;
}

void HttpServer::answer(Id id, HttpConnection& connection, const Message& message, Time now) {
  if (const auto* const stream = std::get_if<HttpStream>(&*message.reply)) {
    if (!message.is_head) return begin_stream(id, connection, *stream, now);
    connection.closes_after_answer = true;
    return send(id, connection, stream_head(), now);
  }
  const auto& response = std::get<HttpResponse>(*message.reply);
  if (!has_room_for(response.body.size(), connection.peer().address)) {
    return refuse(id, connection, plain_answer(503, "too many answers wait to be read; try again later"), now);
  }
  const AfterAnswer after = connection.closes_after_answer ? AfterAnswer::kClose : AfterAnswer::kKeepOpen;
  const AnswerPart part = message.is_head ? AnswerPart::kHead : AnswerPart::kWhole;
  send(id, connection, response_bytes(response, after, part), now);
}

void HttpServer::begin_stream(Id id, HttpConnection& connection, const HttpStream& stream, Time now) {
  if (streams_ >= limits_.streams) {
    HttpResponse full = plain_answer(503, "as many watch as may; try again later");
    full.fields.emplace_back("Retry-After", "10");
    return refuse(id, connection, full, now);
  }
  ++streams_;
  connection.begin_phase(Phase::kStreaming, now);
  connection.note_move(now);
  connection.topic = stream.topic;
  connection.place = stream.place;
  connection.queue(std::make_shared<const std::string>(stream_head()));
  bool is_new = false;
  {
    const std::lock_guard lock(mutex_);
    Topic& topic = topics_[stream.topic];
    is_new = topic.streams.empty();
    if (is_new) topic.number = ++topics_so_far_;
    topic.streams.insert(id);
    if (topic.newest) connection.queue(topic.newest);
    connection.closes_after_answer = topic.is_over;
  }
  if (is_new) on_watched_();
  write_to(id, connection, now);
}

void HttpServer::write_to(Id id, HttpConnection& connection, Time now) {
  const Step step = connection.flush();
  if (step == Step::kGone) return close(id);
  if (step == Step::kWaits) return ask_for_events(id, connection);
  written(id, connection, now);
}

void HttpServer::written(Id id, HttpConnection& connection, Time now) {
  if (connection.phase == Phase::kStreaming) {
    if (connection.waiting_event) {
      connection.queue(std::exchange(connection.waiting_event, nullptr));
      return write_to(id, connection, now);
    }
    if (!connection.closes_after_answer) return ask_for_events(id, connection);
  }
  if (connection.phase == Phase::kWriting && !connection.closes_after_answer) {
    connection.begin_phase(Phase::kReading, now);
    // The next request may be here already, and more of it in TLS's buffer.
    if (connection.reader().state() != HttpRequestReader::State::kMore) return next_request(id, connection, now);
    return read_from(id, connection, now);
  }
  connection.end_output();
  connection.begin_phase(Phase::kDraining, now);
  ask_for_events(id, connection);
}

void HttpServer::show(const Message& message) {
  std::vector<Id> streams;
  {
    const std::lock_guard lock(mutex_);
    const auto topic = topics_.find(message.topic);
    if (topic == topics_.end()) return;
    topic->second.newest = message.event;
    topic->second.is_over = message.last == Last::kYes;
    streams.assign(topic->second.streams.begin(), topic->second.streams.end());
  }
  for (const Id id : streams) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) continue;
    HttpConnection& connection = *found->second;
    if (message.last == Last::kYes) connection.closes_after_answer = true;
    connection.waiting_event = message.event;
    if (connection.has_output() || std::exchange(connection.has_turn, true)) continue;
    turns_.push_back(id);
  }
}

void HttpServer::send_events(Time now) {
  for (int sent = 0; sent < kEventsAtOnce && !turns_.empty();) {
    const Id id = turns_.front();
    turns_.pop_front();
    const auto found = connections_.find(id);
    if (found == connections_.end()) continue;
    HttpConnection& connection = *found->second;
    connection.has_turn = false;
    if (connection.waiting_event == nullptr || connection.has_output()) continue;
    connection.note_move(now);
    connection.queue(std::exchange(connection.waiting_event, nullptr));
    write_to(id, connection, now);
    ++sent;
  }
  next_events_ = now + kBetweenEvents;
}

void HttpServer::take_messages(Time now) {
  std::vector<Message> messages;
  {
    const std::lock_guard lock(mutex_);
    messages.swap(messages_);
  }
  for (const Message& message : messages) {
    if (!message.reply) {
      show(message);
      continue;
    }
    const auto found = connections_.find(message.connection);
    if (found != connections_.end()) answer(message.connection, *found->second, message, now);
  }
}

bool HttpServer::is_overdue(const HttpConnection& connection, Time now) const {
  switch (connection.phase) {
    case Phase::kBeginning:
      return now - connection.since() > limits_.request;
    case Phase::kReading:
      return now - connection.since() >
             (connection.reader_is_idle() ? Time::duration(limits_.idle) : Time::duration(limits_.request));
    case Phase::kAnswering:
      return false;
    case Phase::kWriting:
      return now - connection.moved_at() > limits_.write || now - connection.since() > limits_.answer;
    case Phase::kStreaming:
      return connection.has_output() && now - connection.moved_at() > limits_.write;
    case Phase::kDraining:
      return now - connection.since() > kDrain;
  }
  return true;
}

void HttpServer::look_at_times(Time now) {
  looked_at_times_ = now;
  std::vector<Id> overdue, quiet;
  for (const auto& [id, connection] : connections_) {
    if (is_overdue(*connection, now)) overdue.push_back(id);
    const bool is_stream = connection->phase == Phase::kStreaming && !connection->has_output();
    if (is_stream && now - connection->moved_at() > limits_.quiet) quiet.push_back(id);
  }
  for (const Id id : overdue) close(id);
  if (!quiet.empty()) {
    const auto comment = std::make_shared<const std::string>(kComment);
    for (const Id id : quiet) {
      HttpConnection& connection = *connections_.at(id);
      connection.note_move(now);
      connection.queue(comment);
      write_to(id, connection, now);
    }
  }
  if (!accepts_) {
    accepts_ = true;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kListenerId;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
  }
  if (tls_ && now - looked_at_tls_ >= kBetweenTlsLooks) {
    looked_at_tls_ = now;
    tls_->look();
  }
}

void HttpServer::ask_for_events(Id id, HttpConnection& connection) {
  epoll_event event{};
  event.data.u64 = id;
  // While an answer is made nothing is read: what a client sends then stays with it. While one is sent neither, but for
  // what TLS itself has to read.
  const bool reads = connection.has_output() ? connection.wants_to_read() : connection.phase != Phase::kAnswering;
  event.events = (reads ? std::uint32_t{EPOLLIN} : 0U) | (connection.wants_to_write() ? std::uint32_t{EPOLLOUT} : 0U);
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.socket(), &event);
}

void HttpServer::close(Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const std::string topic = found->second->topic;
  const bool is_stream = found->second->place != nullptr;
  const auto of_address = of_address_.find(found->second->peer().address);
  if (--of_address->second == 0) of_address_.erase(of_address);
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, found->second->socket(), nullptr);
  connections_.erase(found);
  if (!is_stream) return;
  --streams_;
  const std::lock_guard lock(mutex_);
  const auto known = topics_.find(topic);
  if (known == topics_.end()) return;
  known->second.streams.erase(id);
  if (known->second.streams.empty()) topics_.erase(known);
}

}  // namespace equipoise::coordinator
