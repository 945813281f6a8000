// The only place where exceptions become gRPC codes.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "coordinator/access/call_gate.h"
#include "coordinator/metrics/job_metrics.h"

namespace equipoise::coordinator {

// What a caller is told about `failure`: std::invalid_argument, Refusal, StoreError; anything else is INTERNAL and
// logged. Its details carry an ErrorReason.
grpc::Status status_of(const std::exception_ptr& failure);

// "INVALID_ARGUMENT".
std::string code_name(grpc::StatusCode code);

// Where calls come in: whether they may, a handler's body, its outcome counted. All outlive it.
class RpcBoundary {
 public:
  RpcBoundary(CallGate& gate, JobMetrics& metrics, std::string service)
      : gate_(gate), metrics_(metrics), service_(std::move(service)) {}
  // `body` takes nothing, or the call as it was let in.
  template <typename Body>
  grpc::Status answer(const grpc::ServerContextBase& context, const char* method, const Body& body) const {
    return run(context, method, [&body](const AdmittedCall& call) {
      if constexpr (std::is_invocable_v<Body, const AdmittedCall&>) {
        body(call);
      } else {
        body();
      }
    });
  }
  // For a call that does not end with its handler: lets it in, as CallGate::admit(), and counts its end.
  std::unique_ptr<const AdmittedCall> admit(const grpc::ServerContextBase& context, const char* method) const;
  void count(const char* method, const grpc::Status& status) const;

 private:
  grpc::Status run(const grpc::ServerContextBase& context, const char* method,
                   const std::function<void(const AdmittedCall&)>& body) const;

  CallGate& gate_;
  JobMetrics& metrics_;
  std::string service_;
};

}  // namespace equipoise::coordinator
