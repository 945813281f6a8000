#include "common/protocol/reconnection.h"

#include <cstdlib>

namespace equipoise {

bool was_cut_off(int code, const std::string& details) {
  constexpr int kCancelled = 1, kUnknown = 2, kInternal = 13, kUnavailable = 14;  // as google.rpc.Code counts
  if (code == kUnavailable) return true;
  return details.empty() && (code == kCancelled || code == kUnknown || code == kInternal);
}

void find_coordinators_again_soon() { setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "100", /*overwrite=*/0); }

}  // namespace equipoise
