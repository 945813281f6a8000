// The only place where exceptions become gRPC codes.
#pragma once

#include <google/protobuf/descriptor.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "coordinator/access/call_gate.h"
#include "coordinator/metrics/job_metrics.h"

namespace equipoise::coordinator {

// What a caller is told about `failure`: std::invalid_argument, Refusal, StoreError; anything else is INTERNAL and
// logged. Its details carry an ErrorReason, of INVALID_ARGUMENT the field of the `request` that it is said of, if that
// is known, and after what time the call may be made again.
grpc::Status status_of(const std::exception_ptr& failure, const google::protobuf::Descriptor* request = nullptr);

// "INVALID_ARGUMENT".
std::string code_name(grpc::StatusCode code);

// Where calls come in: whether they may, a handler's body, its outcome counted. All outlive it.
class RpcBoundary {
 public:
  RpcBoundary(CallGate& gate, JobMetrics& metrics, std::string service)
      : gate_(gate), metrics_(metrics), service_(std::move(service)) {}
  // Before anything else of a call. What is returned is kept until the call has ended. Throws Refusal as
  // CallGate::admit() does.
  std::shared_ptr<const AdmittedCall> admit(const grpc::ServerContextBase& context, const char* method) const;
  // The same of a call that came another way.
  std::shared_ptr<const AdmittedCall> admit(const CallCredentials& credentials, std::string_view method) const;
  // Lets a call in, whose answer is counted later; what lets it not in is counted here.
  grpc::Status let_in(const char* method, const std::function<void()>& admission) const;
  // Of a call that was let in.
  grpc::Status answer(const char* method, const std::function<void()>& body) const;
  // Of a call that ends with its handler: lets it in, or does not.
  using RankBody = std::function<void(const AdmittedCall&)>;
  grpc::Status answer(const grpc::ServerContextBase& context, const char* method, const RankBody& body) const;
  // Counts the end of a call that did not end with its handler.
  void count(const char* method, const grpc::Status& status) const;

 private:
  // Of a call of this service; null: of another protocol.
  const google::protobuf::Descriptor* request_of(const char* method) const;

  CallGate& gate_;
  JobMetrics& metrics_;
  std::string service_;
};

}  // namespace equipoise::coordinator
