#include "coordinator/service/connection_meter.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "coordinator/service/connected_socket.h"

namespace equipoise::coordinator {
namespace {

// Of a call that was served: its metadata, 16 KiB at most, and the frames around it. A message may come in small
// records of TLS.
constexpr std::uint64_t kBytesOfACall = 32 * 1024;
constexpr std::uint64_t kWirePerMessage = 2;
constexpr std::uint64_t kMostMessageBytes = 4 * 1024 * 1024;
constexpr double kBytesOfAMessage = 2.0 * kMostMessageBytes;  // while it comes
constexpr std::uint64_t kSentBeforeARefusal = 64 * 1024;      // the window of a stream
// Of messages that their caller gives up, or that are too long.
constexpr Allowance kBrokenBytes{.burst = 4.0 * kMostMessageBytes, .per_second = 128.0 * 1024};
constexpr int kMostMessagesAtOnce = 16;
constexpr double kReceivedPerTaken = 1.0 / 8;  // window updates for what was sent
// What a flood sends between two looks is parsed. A look asks the kernel for each connection, some 2 µs: 4 % of a
// processor at most.
constexpr std::chrono::milliseconds kOften{20}, kSeldom{1000};
constexpr std::chrono::microseconds kPausePerConnection{50};
constexpr std::chrono::seconds kBetweenEndLines{10};

void replace(std::string& text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

// One spelling of what the kernel and gRPC say of the same end.
std::string peer_key(std::string peer) {
  constexpr std::string_view kMapped = "ipv6:[::ffff:";
  replace(peer, "%5B", "[");
  replace(peer, "%5D", "]");
  replace(peer, "%25", "%");
  if (!peer.starts_with(kMapped) || peer.find('.') == std::string::npos) return peer;
  peer.replace(0, kMapped.size(), "ipv4:");
  replace(peer, "]", "");
  return peer;
}

}  // namespace

void ConnectionMeter::Connection::end_message(std::size_t bytes) {
  credited_ += kWirePerMessage * bytes + kBytesOfACall;
  --awaited_;
}

void ConnectionMeter::Connection::note_refusal() { credited_ += kSentBeforeARefusal + kBytesOfACall; }

void ConnectionMeter::end_broken_message(Connection& connection) {
  const std::lock_guard lock(mutex_);
  if (connection.broken_bytes_.take(kMostMessageBytes, kBrokenBytes, std::chrono::steady_clock::now())) {
    connection.credited_ += kMostMessageBytes;
  }
  --connection.awaited_;
}

void ConnectionMeter::add(int socket, const SocketPeer& peer) {
  const auto inode = socket_inode(socket);
  if (!inode) return;
  const std::shared_ptr<Connection> connection(new Connection(socket, *inode, peer.address));
  const std::lock_guard lock(mutex_);
  by_peer_[peer_key(peer.text)] = connection;
}

std::shared_ptr<ConnectionMeter::Connection> ConnectionMeter::of(const std::string& peer) const {
  const std::string key = peer_key(peer);
  const std::lock_guard lock(mutex_);
  const auto found = by_peer_.find(key);
  return found == by_peer_.end() ? nullptr : found->second;
}

// Streams that are reset make room for others before their calls have ended here.
void ConnectionMeter::begin_call(Connection& connection) {
  if (++connection.calls_ <= limits_.calls_under_way + limits_.calls_under_way / 4) return;
  const std::lock_guard lock(mutex_);
  if (!connection.is_ended_) end(connection, "calls that were reset or refused");
}

// One that shares its address with a flood makes few calls in vain, and is left alone.
void ConnectionMeter::note_vain_call(Connection& connection) {
  const std::lock_guard lock(mutex_);
  if (connection.is_ended_) return;
  const Time now = std::chrono::steady_clock::now();
  const bool address_may = vain_calls_.take(connection.address_, now);
  const bool may = connection.vain_calls_.take(1, limits_.vain_calls, now);
  if (may && (address_may || connection.vain_calls_.used(limits_.vain_calls, now) <= limits_.few_vain_calls)) return;
  end(connection, "calls that were reset or refused");
}

std::optional<std::chrono::milliseconds> ConnectionMeter::look() {
  const std::lock_guard lock(mutex_);
  const Time now = std::chrono::steady_clock::now();
  const std::chrono::duration<double> passed = now - std::exchange(looked_at_, now);
  std::erase_if(by_peer_, [&](const auto& entry) { return is_closed(*entry.second, passed.count()); });
  if (by_peer_.empty()) return std::nullopt;
  return std::clamp(duration_cast<std::chrono::milliseconds>(kPausePerConnection * by_peer_.size()), kOften, kSeldom);
}

bool ConnectionMeter::is_closed(Connection& connection, double seconds) {
  const std::uint64_t credited = connection.credited_;  // before the bytes are asked for, which came before
  const auto bytes = connection_bytes(connection.socket_, connection.inode_);
  if (!bytes) return true;
  if (connection.is_ended_) return false;
  // Bytes that come while the kernel is asked may be missing, and what was counted before is more than it says then.
  const auto change = [](std::uint64_t& before, std::uint64_t newest) {
    newest = std::max(before, newest);
    return static_cast<double>(newest - std::exchange(before, newest));
  };
  connection.empty_bytes_ += change(connection.received_, bytes->received);
  connection.empty_bytes_ -= change(connection.credited_before_, credited);
  connection.empty_bytes_ -= change(connection.taken_, bytes->taken) * kReceivedPerTaken;
  connection.empty_bytes_ = std::max(0.0, connection.empty_bytes_ - seconds * limits_.empty_bytes.per_second);
  const double coming = std::clamp(connection.awaited_.load(), 0, kMostMessagesAtOnce) * kBytesOfAMessage;
  if (connection.empty_bytes_ > limits_.empty_bytes.burst + coming) end(connection, "bytes that are of no call");
  return false;
}

void ConnectionMeter::end(Connection& connection, const char* why) {
  connection.is_ended_ = true;
  abort_connection(connection.socket_, connection.inode_);
  ++ended_;
  const Time now = std::chrono::steady_clock::now();
  if (said_at_ && now - *said_at_ < kBetweenEndLines) return;
  said_at_ = now;
  spdlog::warn("closed {} connections, the newest of {}, for too many {}", std::exchange(ended_, 0),
               connection.address_, why);
}

}  // namespace equipoise::coordinator
