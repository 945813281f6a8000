// HostService over gRPC. It unpacks, calls and packs, and decides nothing.
#pragma once

#include "coordinator/service/call_table.h"
#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/host.pb.h"

namespace equipoise::coordinator {

class HostService {
 public:
  // All outlive it; `pool` is that of people's calls.
  HostService(SharedController& shared, CallGate& gate, JobMetrics& metrics, CallPool& pool);

  // It outlives the server.
  void add_to(CallTable& calls);

 private:
  SharedController& shared_;
  const RpcBoundary boundary_;
  const PooledCalls calls_;
};

}  // namespace equipoise::coordinator
