#include "coordinator/service/connection_acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <utility>

#include "coordinator/service/connected_socket.h"
#include "coordinator/service/listening_socket.h"

namespace equipoise::coordinator {
namespace {

// For what else the service opens: its database, logs, pipes to processes.
constexpr std::size_t kFilesKept = 64;
constexpr int kPauseMs = 100;  // where there is no file for a connection
constexpr std::chrono::milliseconds kBetweenCounts{100};
constexpr std::chrono::seconds kBetweenRefusalLines{10};

ConnectionLimits bounded(ConnectionLimits limits) {
  const auto part = [](std::size_t whole) { return std::max<std::size_t>(1, whole / 4 * 3); };
  limits.most = std::min(limits.most, part(most_open_files()));
  limits.most_of_address = std::min(limits.most_of_address, part(limits.most));
  return limits;
}

// An end that is gone without a word, as with its host, is noticed after a minute and a half.
void set_up(int socket) {
  constexpr int kOn = 1, kIdleS = 60, kBetweenProbesS = 10, kProbes = 3, kUnansweredMs = 90'000;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof(kOn));
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof(kOn));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &kIdleS, sizeof(kIdleS));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &kBetweenProbesS, sizeof(kBetweenProbesS));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof(kProbes));
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnansweredMs, sizeof(kUnansweredMs));
}

}  // namespace

bool OpenConnections::add(int socket, const std::string& address) {
  remove(socket);  // its number is this one's now
  if (is_full(address)) forget_closed();
  if (is_full(address)) return false;
  const auto inode = socket_inode(socket);
  if (!inode) return false;
  by_socket_.emplace(socket, Connection{.inode = *inode, .address = address});
  ++of_address_[address];
  return true;
}

bool OpenConnections::is_full(const std::string& address) const {
  const auto own = of_address_.find(address);
  return by_socket_.size() >= limits_.most || (own != of_address_.end() && own->second >= limits_.most_of_address);
}

void OpenConnections::remove(int socket) {
  const auto known = by_socket_.find(socket);
  if (known == by_socket_.end()) return;
  const auto own = of_address_.find(known->second.address);
  if (--own->second == 0) of_address_.erase(own);
  by_socket_.erase(known);
}

// All of them are looked at, so not for each of many that come in vain.
void OpenConnections::forget_closed() {
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_at_ < kBetweenCounts) return;
  looked_at_ = now;
  std::vector<int> closed;
  for (const auto& [socket, connection] : by_socket_) {
    if (socket_inode(socket) != connection.inode) closed.push_back(socket);
  }
  for (const int socket : closed) remove(socket);
}

ConnectionAcceptor::ConnectionAcceptor(const ListenAddress& listen, ConnectionLimits limits, ConnectionMeter& meter)
    : limits_(bounded(limits)),
      meter_(meter),
      listeners_(listening_sockets(listen)),
      open_(limits_),
      new_(limits_.new_of_address) {
  port_ = port_of(listeners_.front());
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void ConnectionAcceptor::start(std::function<void(int socket)> take) {
  take_ = std::move(take);
  thread_ = std::thread([this] { run(); });
  looks_ = std::thread([this] { look_at_connections(); });
}

void ConnectionAcceptor::stop() {
  if (wake_ < 0) return;
  constexpr std::uint64_t kOne = 1;
  static_cast<void>(!::write(wake_, &kOne, sizeof(kOne)));
  if (thread_.joinable()) thread_.join();  // a flood that keeps it is ended by the looks
  {
    const std::lock_guard lock(look_mutex_);
    ends_looks_ = true;
  }
  look_asked_.notify_one();
  if (looks_.joinable()) looks_.join();
  for (const int listener : listeners_) ::close(listener);
  ::close(std::exchange(wake_, -1));
}

void ConnectionAcceptor::run() {
  std::vector<pollfd> watched = {{.fd = wake_, .events = POLLIN, .revents = 0}};
  for (const int listener : listeners_) watched.push_back({.fd = listener, .events = POLLIN, .revents = 0});
  while (true) {
    // Connections that wait would end each pause at once.
    ::poll(watched.data(), is_out_of_files_ ? 1 : watched.size(), is_out_of_files_ ? kPauseMs : -1);
    if (watched.front().revents != 0) return;
    is_out_of_files_ = false;
    for (const int listener : listeners_) accept_all(listener);
  }
}

void ConnectionAcceptor::look_at_connections() {
  std::unique_lock lock(look_mutex_);
  while (true) {
    look_asked_.wait(lock, [this] { return must_look_ || ends_looks_; });
    if (ends_looks_) return;
    must_look_ = false;
    lock.unlock();
    const auto pause = meter_.look();
    lock.lock();
    if (!pause) continue;
    must_look_ = true;
    look_asked_.wait_for(lock, *pause, [this] { return ends_looks_; });
  }
}

void ConnectionAcceptor::ask_for_looks() {
  {
    const std::lock_guard lock(look_mutex_);
    must_look_ = true;
  }
  look_asked_.notify_one();
}

void ConnectionAcceptor::accept_all(int listener) {
  constexpr int kAtOnce = 64;
  for (int accepted = 0; accepted < kAtOnce; ++accepted) {
    sockaddr_storage address{};
    socklen_t length = sizeof(address);
    const int socket =
        ::accept4(listener, reinterpret_cast<sockaddr*>(&address), &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) is_out_of_files_ = true;
      return;
    }
    const SocketPeer peer = peer_of(address);
    // The lowest number that is free: so many files are open.
    const std::size_t files = most_open_files();
    const bool has_room = static_cast<std::size_t>(socket) < files - std::min(kFilesKept, files / 4);
    if (has_room && new_.take(peer.address, std::chrono::steady_clock::now()) && open_.add(socket, peer.address)) {
      set_up(socket);
      meter_.add(socket, peer);
      ask_for_looks();
      take_(socket);
    } else {
      ::close(socket);
      note_refusal(peer.address);
    }
  }
}

void ConnectionAcceptor::note_refusal(const std::string& address) {
  ++refused_;
  const auto now = std::chrono::steady_clock::now();
  if (said_at_ && now - *said_at_ < kBetweenRefusalLines) return;
  said_at_ = now;
  spdlog::warn(
      "refused {} connections, the newest of {}: there are as many as there may be, {} of one address, {} in "
      "all, or more than {} a second of one address, or too many open files",
      std::exchange(refused_, 0), address, limits_.most_of_address, limits_.most, limits_.new_of_address.per_second);
}

}  // namespace equipoise::coordinator
