#include "worker/collective/broadcast.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <thread>

#include "common/base/network_interfaces.h"

namespace equipoise {

void broadcast_text(std::string& text, int root, HostCollective& ranks) {
  std::uint64_t size = text.size();
  ranks.broadcast(std::as_writable_bytes(std::span(&size, 1)), root);
  text.resize(size);
  ranks.broadcast(std::as_writable_bytes(std::span(text)), root);
}

void wait_until_all(HostCollective& host, const std::function<bool()>& is_done) {
  constexpr std::chrono::milliseconds kBetweenLooks{5};
  while (true) {
    std::array<double, 1> pending{is_done() ? 0.0 : 1.0};
    host.all_reduce_sum(pending);
    if (pending[0] == 0) return;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

void check_same_on_all_ranks(HostCollective& host, Digest digest, const std::string& what) {
  Digest first = digest;
  host.broadcast(first, 0);
  if (first == digest) return;
  throw std::invalid_argument("rank " + std::to_string(host.info().rank) + " on " + host_name() + " has another " +
                              what + " than rank 0: every host needs the same files");
}

}  // namespace equipoise
