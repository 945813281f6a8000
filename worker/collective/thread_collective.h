// thread_ranks.h with sums of CPU tensors.
#pragma once

#include <functional>

#include "worker/collective/collective.h"

namespace equipoise {

// As run_host_ranks().
void run_ranks(int world_size, const std::function<void(Collective&)>& body);

}  // namespace equipoise
