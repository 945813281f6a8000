#include "common/protocol/reconnection.h"

#include <cstdlib>

namespace equipoise {

void find_coordinators_again_soon() { setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "100", /*overwrite=*/0); }

}  // namespace equipoise
