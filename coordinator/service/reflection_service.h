// grpc.reflection.v1alpha: which services, messages and fields there are, for tools such as grpcurl. In place of gRPC's
// own, which answers everybody and keeps a thread for each caller.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <string>
#include <vector>

#include "coordinator/service/rpc_status.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace equipoise::coordinator {

// May be used from any thread.
class ReflectionService final : public grpc::reflection::v1alpha::ServerReflection::CallbackService {
 public:
  // services  full names, of protocols that are linked in. `gate` and `metrics` outlive it.
  ReflectionService(CallGate& gate, JobMetrics& metrics, std::vector<std::string> services);

  grpc::ServerBidiReactor<grpc::reflection::v1alpha::ServerReflectionRequest,
                          grpc::reflection::v1alpha::ServerReflectionResponse>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

 private:
  class Stream;
  grpc::reflection::v1alpha::ServerReflectionResponse answer(
      const grpc::reflection::v1alpha::ServerReflectionRequest& request) const;

  RpcBoundary boundary_;
  const std::vector<std::string> services_;
};

}  // namespace equipoise::coordinator
