#include "worker/collective/broadcast.h"

#include <cstdint>
#include <span>
#include <stdexcept>

#include "common/base/network_interfaces.h"

namespace equipoise {

void broadcast_text(std::string& text, int root, HostCollective& ranks) {
  std::uint64_t size = text.size();
  ranks.broadcast(std::as_writable_bytes(std::span(&size, 1)), root);
  text.resize(size);
  ranks.broadcast(std::as_writable_bytes(std::span(text)), root);
}

void check_same_on_all_ranks(HostCollective& host, Digest digest, const std::string& what) {
  Digest first = digest;
  host.broadcast(first, 0);
  if (first == digest) return;
  throw std::invalid_argument("rank " + std::to_string(host.info().rank) + " on " + host_name() + " has another " +
                              what + " than rank 0: every host needs the same files");
}

}  // namespace equipoise
