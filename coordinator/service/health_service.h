// grpc.health.v1: whether the coordinator serves, for probes and load balancers. In place of gRPC's own, which answers
// everybody.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "coordinator/service/rpc_status.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace equipoise::coordinator {

// A service that it does not know is NOT_FOUND, and of a watch SERVICE_UNKNOWN. May be used from any thread.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  // Serves from the start. `gate` and `metrics` outlive it.
  HealthService(CallGate& gate, JobMetrics& metrics, const std::vector<std::string>& services);

  // SERVING where both hold. Each may be called from any thread.
  void set_serving(bool is_serving);
  void set_ticking(bool is_ticking);

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context, const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  class Watcher;
  void remove(Watcher& watcher);
  // The caller has mutex_.
  bool serves() const { return is_serving_ && is_ticking_; }
  void show();

  RpcBoundary boundary_;
  const std::set<std::string> services_;  // with "" for the whole
  std::mutex mutex_;                      // guards all below
  bool is_serving_ = true, is_ticking_ = true;
  std::set<Watcher*> watchers_;
};

}  // namespace equipoise::coordinator
