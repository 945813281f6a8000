#include "coordinator/service/host_service.h"

namespace equipoise::coordinator {

HostService::HostService(SharedController& shared, CallGate& gate, JobMetrics& metrics, CallPool& pool)
    : shared_(shared), calls_(RpcBoundary(gate, metrics, "HostService"), pool, Refusal::Code::kResourceExhausted) {}

grpc::ServerUnaryReactor* HostService::ListHosts(grpc::CallbackServerContext* context,
                                                 const v1::ListHostsRequest* request, v1::ListHostsResponse* response) {
  return calls_.serve(*context, "ListHosts", *request, [this, request, response](const AdmittedCall& /*call*/) {
    *response = shared_.read([&](JobController& core) { return core.host_calls().list(*request); });
  });
}

grpc::ServerUnaryReactor* HostService::CordonHost(grpc::CallbackServerContext* context,
                                                  const v1::CordonHostRequest* request, v1::Host* response) {
  return calls_.serve(*context, "CordonHost", *request, [this, request, response](const AdmittedCall& /*call*/) {
    *response = shared_.run([&](JobController& core) { return core.host_calls().cordon(*request); });
    shared_.wake();
  });
}

grpc::ServerUnaryReactor* HostService::UncordonHost(grpc::CallbackServerContext* context,
                                                    const v1::UncordonHostRequest* request, v1::Host* response) {
  return calls_.serve(*context, "UncordonHost", *request, [this, request, response](const AdmittedCall& /*call*/) {
    *response = shared_.run([&](JobController& core) { return core.host_calls().uncordon(*request); });
    shared_.wake();
  });
}

}  // namespace equipoise::coordinator
