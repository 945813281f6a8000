// HostService over gRPC. It unpacks, calls and packs, and decides nothing.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/host.grpc.pb.h"

namespace equipoise::coordinator {

class HostService final : public v1::HostService::CallbackService {
 public:
  // All outlive it; `pool` is that of people's calls.
  HostService(SharedController& shared, CallGate& gate, JobMetrics& metrics, CallPool& pool);

  grpc::ServerUnaryReactor* ListHosts(grpc::CallbackServerContext* context, const v1::ListHostsRequest* request,
                                      v1::ListHostsResponse* response) override;
  grpc::ServerUnaryReactor* CordonHost(grpc::CallbackServerContext* context, const v1::CordonHostRequest* request,
                                       v1::Host* response) override;
  grpc::ServerUnaryReactor* UncordonHost(grpc::CallbackServerContext* context, const v1::UncordonHostRequest* request,
                                         v1::Host* response) override;

 private:
  SharedController& shared_;
  const PooledCalls calls_;
};

}  // namespace equipoise::coordinator
