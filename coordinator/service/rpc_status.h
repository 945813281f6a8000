// The only place where exceptions become gRPC codes.
#pragma once

#include <grpcpp/support/status.h>

#include <exception>
#include <functional>
#include <string>

#include "coordinator/metrics/job_metrics.h"

namespace equipoise::coordinator {

// What a caller is told about `failure`: std::invalid_argument, Refusal, StoreError; anything else is INTERNAL and
// logged. Its details carry an ErrorReason.
grpc::Status status_of(const std::exception_ptr& failure);

// "INVALID_ARGUMENT".
std::string code_name(grpc::StatusCode code);

// Runs a handler's body and counts its outcome.
class RpcBoundary {
 public:
  RpcBoundary(JobMetrics& metrics, std::string service) : metrics_(metrics), service_(std::move(service)) {}
  grpc::Status answer(const char* method, const std::function<void()>& body) const;
  // Counts the end of a call that did not end with its handler.
  void count(const char* method, const grpc::Status& status) const;

 private:
  JobMetrics& metrics_;
  std::string service_;
};

}  // namespace equipoise::coordinator
