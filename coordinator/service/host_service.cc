#include "coordinator/service/host_service.h"

namespace equipoise::coordinator {

HostService::HostService(SharedController& shared, CallGate& gate, JobMetrics& metrics, CallPool& pool)
    : shared_(shared), boundary_(gate, metrics, "HostService"), calls_(pool, Refusal::Code::kResourceExhausted) {}

void HostService::add_to(CallTable& calls) {
  const std::string service = "equipoise.v1.HostService";
  calls.add_unary<v1::ListHostsRequest, v1::ListHostsResponse>(service, "ListHosts", boundary_, [this](auto& call) {
    calls_.serve(call, call.request, [this, &call](const AdmittedCall& /*admitted*/) {
      call.response = shared_.read([&](JobController& core) { return core.host_calls().list(call.request); });
    });
  });
  calls.add_unary<v1::CordonHostRequest, v1::Host>(service, "CordonHost", boundary_, [this](auto& call) {
    calls_.serve(call, call.request, [this, &call](const AdmittedCall& /*admitted*/) {
      call.response = shared_.run([&](JobController& core) { return core.host_calls().cordon(call.request); });
      shared_.wake();
    });
  });
  calls.add_unary<v1::UncordonHostRequest, v1::Host>(service, "UncordonHost", boundary_, [this](auto& call) {
    calls_.serve(call, call.request, [this, &call](const AdmittedCall& /*admitted*/) {
      call.response = shared_.run([&](JobController& core) { return core.host_calls().uncordon(call.request); });
      shared_.wake();
    });
  });
}

}  // namespace equipoise::coordinator
