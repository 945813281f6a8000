// grpc.reflection.v1alpha: which services, messages and fields there are, for tools such as grpcurl. In place of gRPC's
// own, which answers everybody and keeps a thread for each caller.
#pragma once

#include <string>
#include <vector>

#include "coordinator/service/call_table.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"

namespace equipoise::coordinator {

// May be used from any thread.
class ReflectionService {
 public:
  // services  full names, of protocols that are linked in. `gate` and `metrics` outlive it.
  ReflectionService(CallGate& gate, JobMetrics& metrics, std::vector<std::string> services);

  // It outlives the server.
  void add_to(CallTable& calls);

 private:
  class Stream;
  grpc::reflection::v1alpha::ServerReflectionResponse answer(
      const grpc::reflection::v1alpha::ServerReflectionRequest& request) const;

  const RpcBoundary boundary_;
  const std::vector<std::string> services_;
};

}  // namespace equipoise::coordinator
