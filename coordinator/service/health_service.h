// grpc.health.v1: whether the coordinator serves, for probes and load balancers. In place of gRPC's own, which answers
// everybody.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "coordinator/service/call_table.h"
#include "grpc/health/v1/health.pb.h"

namespace equipoise::coordinator {

// A service that it does not know is NOT_FOUND, and of a watch SERVICE_UNKNOWN. May be used from any thread.
class HealthService {
 public:
  // Serves from the start. `gate` and `metrics` outlive it.
  HealthService(CallGate& gate, JobMetrics& metrics, const std::vector<std::string>& services);

  // SERVING where both hold. Each may be called from any thread.
  void set_serving(bool is_serving);
  void set_ticking(bool is_ticking);

  // It outlives the server.
  void add_to(CallTable& calls);

 private:
  class Watcher;
  void check(const grpc::health::v1::HealthCheckRequest& request, grpc::health::v1::HealthCheckResponse& response);
  void remove(Watcher& watcher);
  // The caller has mutex_.
  bool serves() const { return is_serving_ && is_ticking_; }
  void show();

  const RpcBoundary boundary_;
  const std::set<std::string> services_;  // with "" for the whole
  std::mutex mutex_;                      // guards all below
  bool is_serving_ = true, is_ticking_ = true;
  std::set<Watcher*> watchers_;
};

}  // namespace equipoise::coordinator
