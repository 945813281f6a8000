// Takes connections for gRPC, whose own listener takes as many as come, and none any more for ever once the process
// has no file left for one.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/service/allowance.h"
#include "coordinator/service/connection_meter.h"
#include "coordinator/service/listen_address.h"

namespace equipoise::coordinator {

struct ConnectionLimits {
  std::size_t most = 20'000;             // a job of 16,384 ranks, and others; no more than 3/4 of the open files
  std::size_t most_of_address = 15'000;  // likewise no more than 3/4 of `most`
  // A job of 16,384 ranks comes at once. What is over it costs no handshake.
  Allowance new_of_address{.burst = 16'384, .per_second = 200};
  int idle_ms = 300'000;  // a connection without a call goes after
};

// Which of the connections that were taken are still open: whoever got them closes them without a word. Not
// thread-safe.
class OpenConnections {
 public:
  explicit OpenConnections(ConnectionLimits limits) : limits_(limits) {}

  // Counts one more, unless there are as many as there may be, in all or of its address.
  bool add(int socket, const std::string& address);

 private:
  struct Connection {
    ino_t inode;  // no two sockets have the same
    std::string address;
  };
  bool is_full(const std::string& address) const;
  void remove(int socket);
  void forget_closed();

  const ConnectionLimits limits_;
  std::map<int, Connection> by_socket_;  // open, or closed since
  std::map<std::string, std::size_t> of_address_;
  std::chrono::steady_clock::time_point looked_at_;
};

class ConnectionAcceptor {
 public:
  // Listens when it returns, and accepts from start() on. Throws std::runtime_error where it cannot. `meter` outlives
  // it, gets each connection before `take` does, and looks at them from a thread of its own.
  ConnectionAcceptor(const ListenAddress& listen, ConnectionLimits limits, ConnectionMeter& meter);
  ~ConnectionAcceptor() { stop(); }
  ConnectionAcceptor(const ConnectionAcceptor&) = delete;
  ConnectionAcceptor& operator=(const ConnectionAcceptor&) = delete;

  int port() const { return port_; }
  // `take` gets each connection, a socket that does not block, and closes it. From a thread of this object. Once.
  void start(std::function<void(int socket)> take);
  // `take` is not called any more when it returns, and nobody listens.
  void stop();

 private:
  void run();
  void accept_all(int listener);
  void look_at_connections();
  void ask_for_looks();
  void note_refusal(const std::string& address);

  const ConnectionLimits limits_;
  ConnectionMeter& meter_;
  std::vector<int> listeners_;
  int port_ = 0;
  int wake_ = -1;
  std::function<void(int socket)> take_;
  std::thread thread_;
  // What is given away may keep the thread that gives it for as long as its other end sends: gRPC reads in it.
  std::thread looks_;
  std::mutex look_mutex_;  // guards the two below
  bool must_look_ = false, ends_looks_ = false;
  std::condition_variable look_asked_;
  // Of `thread_`.
  OpenConnections open_;
  AddressAllowances new_;
  bool is_out_of_files_ = false;
  std::size_t refused_ = 0;  // since the log last told of it
  std::optional<std::chrono::steady_clock::time_point> said_at_;
};

}  // namespace equipoise::coordinator
