#include "coordinator/service/host_service.h"

#include "coordinator/service/people_calls.h"

namespace equipoise::coordinator {

HostService::HostService(SharedController& shared, CallGate& gate, JobMetrics& metrics, CallPool& pool)
    : shared_(shared), boundary_(gate, metrics, "HostService"), calls_(pool, Refusal::Code::kResourceExhausted) {}

void HostService::add_to(CallTable& calls) {
  const PeopleCalls people(calls, "equipoise.v1.HostService", boundary_, calls_, shared_);
  people.add_reader<v1::ListHostsRequest, v1::ListHostsResponse>(
      "ListHosts", [](JobController& core, const auto& request) { return core.host_calls().list(request); });
  people.add_change<v1::CordonHostRequest, v1::Host>(
      "CordonHost", [](JobController& core, const auto& request) { return core.host_calls().cordon(request); });
  people.add_change<v1::UncordonHostRequest, v1::Host>(
      "UncordonHost", [](JobController& core, const auto& request) { return core.host_calls().uncordon(request); });
}

}  // namespace equipoise::coordinator
