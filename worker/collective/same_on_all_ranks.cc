#include "worker/collective/same_on_all_ranks.h"

#include <unistd.h>

#include <array>
#include <stdexcept>

namespace equipoise {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace

void check_same_on_all_ranks(HostCollective& host, Digest digest, const std::string& what) {
  Digest first = digest;
  host.broadcast(first, 0);
  if (first == digest) return;
  throw std::invalid_argument("rank " + std::to_string(host.info().rank) + " on " + host_name() + " has another " +
                              what + " than rank 0: every host needs the same files");
}

}  // namespace equipoise
