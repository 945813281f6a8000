// What every rank must have alike: data, models.
#pragma once

#include <string>

#include "common/base/sha256.h"
#include "common/collective/host_collective.h"

namespace equipoise {

// Throws std::invalid_argument on a rank whose digest is not rank 0's. `what` names the thing: "training data".
void check_same_on_all_ranks(HostCollective& host, Digest digest, const std::string& what);

}  // namespace equipoise
