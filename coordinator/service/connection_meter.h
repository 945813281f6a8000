// What connections of the gRPC port cost beside the calls that they are for, and the end of those that cost too much:
// gRPC takes streams that are reset at once, and frames that say nothing, as fast as they come.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "coordinator/service/allowance.h"
#include "coordinator/service/listening_socket.h"

namespace equipoise::coordinator {

struct FloodLimits {
  // Of a connection, as HTTP/2 counts them. There may be a quarter more that their caller has ended, and that gRPC has
  // not told us of yet.
  int calls_under_way = 1024;
  // Calls in vain: reset by their caller, refused for want of a token, or of no method. The owner of a connection may
  // end all that it has under way at once.
  Allowance vain_calls{.burst = 1024, .per_second = 100};
  Allowance vain_calls_of_address{.burst = 8192, .per_second = 400};
  double few_vain_calls =
      16;  // whose connection has made no more is not the flood of its address: a rank that gives up
  // Received bytes that belong to no call that was served.
  Allowance empty_bytes{.burst = 256.0 * 1024, .per_second = 16.0 * 1024};
};

// May be used from any thread.
class ConnectionMeter {
 public:
  explicit ConnectionMeter(FloodLimits limits = {}) : limits_(limits), vain_calls_(limits.vain_calls_of_address) {}
  ConnectionMeter(const ConnectionMeter&) = delete;
  ConnectionMeter& operator=(const ConnectionMeter&) = delete;

  // One connection, for its calls.
  class Connection {
   public:
    void end_call() { --calls_; }
    void begin_message() { ++awaited_; }
    // After begin_message(): it has come.
    void end_message(std::size_t bytes);
    // What a call that is refused has sent by then is not for nothing.
    void note_refusal();

   private:
    friend class ConnectionMeter;
    Connection(int socket, ino_t inode, std::string address)
        : socket_(socket), inode_(inode), address_(std::move(address)) {}
    std::atomic<int> calls_ = 0;
    std::atomic<int> awaited_ = 0;             // messages
    std::atomic<std::uint64_t> credited_ = 0;  // bytes
    const int socket_;
    const ino_t inode_;
    const std::string address_;
    // Guarded by the mutex of the meter.
    AllowanceUse vain_calls_, broken_bytes_;
    std::uint64_t received_ = 0, taken_ = 0, credited_before_ = 0;  // when it was last looked at
    double empty_bytes_ = 0;
    bool is_ended_ = false;
  };

  // A connection that gRPC gets next.
  void add(int socket, const SocketPeer& peer);
  // As gRPC says: "ipv4:10.0.0.7:5120". Null: none that was added.
  std::shared_ptr<Connection> of(const std::string& peer) const;
  // One more call; ends its connection where that has too many. Connection::end_call() follows.
  void begin_call(Connection& connection);
  // After begin_message(): none has come, or not all of it.
  void end_broken_message(Connection& connection);
  // A call in vain; ends its connection where that had too many.
  void note_vain_call(Connection& connection);
  // Looks at what each has received, ends those with too many bytes of no call, and forgets those that are closed. To
  // be called often: returns in what time again, at rest never.
  std::optional<std::chrono::milliseconds> look();

 private:
  using Time = std::chrono::steady_clock::time_point;
  // The caller of each has mutex_.
  bool is_closed(Connection& connection, double seconds);
  void end(Connection& connection, const char* why);

  const FloodLimits limits_;
  mutable std::mutex mutex_;  // guards all below
  std::unordered_map<std::string, std::shared_ptr<Connection>> by_peer_;
  AddressAllowances vain_calls_;
  Time looked_at_{};
  std::size_t ended_ = 0;  // since the log last told of it
  std::optional<Time> said_at_;
};

}  // namespace equipoise::coordinator
