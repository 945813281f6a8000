// One connection of the HTTP port: bytes in, bytes out, none of which waits. What is said on it is the server's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "coordinator/http/http_request.h"
#include "coordinator/http/http_tls.h"
#include "coordinator/service/listening_socket.h"

namespace equipoise::coordinator {

// Sent as they are to all that they are for.
using SharedBytes = std::shared_ptr<const std::string>;

// Not thread-safe.
class HttpConnection {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Phase {
    kBeginning,  // it has not said whether it speaks TLS
    kReading,    // of a request
    kAnswering,  // the answer is being made
    kWriting,    // the answer is being sent
    kStreaming,
    kDraining,  // all is said: it waits for the other end to close, so that what was sent arrives
  };

  // Takes the socket, which does not block.
  HttpConnection(int socket, SocketPeer peer, Time now) : socket_(socket), peer_(std::move(peer)), since_(now) {}
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  int socket() const { return socket_; }
  const SocketPeer& peer() const { return peer_; }
  bool is_tls() const { return tls_ != nullptr; }
  HttpRequestReader& reader() { return reader_; }
  bool reader_is_idle() const { return reader_.is_empty() && moved_at_ != Time(); }  // between two requests

  enum class Step { kDone, kWaits, kGone };
  // Looks at the first byte, which tells TLS from plain text. `tls`: null where the port speaks no TLS.
  Step begin(const HttpTls* tls);
  // What there is, 16 KiB at most.
  Step receive(std::string& bytes);
  void queue(SharedBytes bytes);
  // As much of what is queued as the other end takes now. kDone: all.
  Step flush();
  bool has_output() const { return !output_.empty(); }
  std::size_t output_bytes() const { return output_bytes_; }
  void end_output();  // no more is sent

  // What epoll is asked for.
  bool wants_to_read() const { return wants_to_read_; }
  bool wants_to_write() const { return wants_to_write_; }

  // For the server, which alone changes them.
  Phase phase = Phase::kBeginning;
  bool closes_after_answer = false;
  std::string topic;                  // kStreaming
  std::shared_ptr<const void> place;  // kStreaming: among the streams of its caller
  SharedBytes waiting_event;          // in place of older ones: until it is its turn, or its end has read what was sent
  bool has_turn = false;              // to be sent it
  Time since() const { return since_; }
  void begin_phase(Phase next, Time now) {
    phase = next;
    since_ = now;
  }
  Time moved_at() const { return moved_at_; }  // when bytes were last taken
  void note_move(Time now) { moved_at_ = now; }

 private:
  Step tls_step(int result);

  const int socket_;
  const SocketPeer peer_;
  TlsSession tls_;
  HttpRequestReader reader_;
  std::deque<SharedBytes> output_;
  std::size_t written_ = 0;  // of the first
  std::size_t output_bytes_ = 0;
  bool wants_to_read_ = true, wants_to_write_ = false;
  Time since_;
  Time moved_at_{};
};

}  // namespace equipoise::coordinator
