#include "common/protocol/reconnection.h"

#include <cstdlib>

namespace equipoise {

bool was_cut_off(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return true;
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::INTERNAL:
      return status.error_details().empty();
    default:
      return false;
  }
}

void find_coordinators_again_soon() { setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "100", /*overwrite=*/0); }

}  // namespace equipoise
