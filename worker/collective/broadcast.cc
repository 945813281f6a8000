#include "worker/collective/broadcast.h"

#include <cstdint>
#include <span>

namespace equipoise {

void broadcast_text(std::string& text, int root, HostCollective& ranks) {
  std::uint64_t size = text.size();
  ranks.broadcast(std::as_writable_bytes(std::span(&size, 1)), root);
  text.resize(size);
  ranks.broadcast(std::as_writable_bytes(std::span(text)), root);
}

}  // namespace equipoise
