#include "coordinator/service/rpc_status.h"

#include <spdlog/spdlog.h>

#include <array>
#include <stdexcept>

#include "common/base/message_text.h"
#include "common/base/service_access.h"
#include "common/protocol/attempt_token.h"
#include "common/protocol/error_reason.h"
#include "coordinator/job/refusal.h"
#include "coordinator/store/database.h"

namespace equipoise::coordinator {
namespace {

grpc::StatusCode code_of(Refusal::Code code) {
  switch (code) {
    case Refusal::Code::kInvalidArgument:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case Refusal::Code::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case Refusal::Code::kFailedPrecondition:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case Refusal::Code::kUnauthenticated:
      return grpc::StatusCode::UNAUTHENTICATED;
    case Refusal::Code::kPermissionDenied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case Refusal::Code::kAborted:
      return grpc::StatusCode::ABORTED;
    case Refusal::Code::kOutOfRange:
      return grpc::StatusCode::OUT_OF_RANGE;
    case Refusal::Code::kResourceExhausted:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case Refusal::Code::kCancelled:
      return grpc::StatusCode::CANCELLED;
    case Refusal::Code::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
  }
  return grpc::StatusCode::INTERNAL;
}

grpc::StatusCode code_of(StoreError::Cause cause) {
  switch (cause) {
    case StoreError::Cause::kFull:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case StoreError::Cause::kDamaged:
      return grpc::StatusCode::DATA_LOSS;
    case StoreError::Cause::kBusy:
    case StoreError::Cause::kOther:
      return grpc::StatusCode::UNAVAILABLE;
  }
  return grpc::StatusCode::INTERNAL;
}

// A client takes 8 KiB of headers, in which a byte of the message may take three: its copy in the details is cut.
constexpr std::size_t kLongestMessage = 2048, kLongestCopy = 256;

grpc::Status status_with(grpc::StatusCode code, ErrorReason reason, const std::string& text) {
  const ErrorText copy{.code = static_cast<int>(code), .message = one_line(utf8_text(text), kLongestCopy)};
  return {code, one_line(utf8_text(text), kLongestMessage), error_details(copy, reason)};
}

}  // namespace

grpc::Status status_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::invalid_argument& wrong) {
    return status_with(grpc::StatusCode::INVALID_ARGUMENT, ErrorReason::kInvalidArgument, wrong.what());
  } catch (const Refusal& refusal) {
    return status_with(code_of(refusal.code()), refusal.reason(), refusal.what());
  } catch (const StoreError& error) {
    const bool is_damaged = error.cause() == StoreError::Cause::kDamaged;
    if (is_damaged) spdlog::error("{}", error.what());  // others: SharedController, once
    return status_with(code_of(error.cause()), is_damaged ? ErrorReason::kRecordDamaged : ErrorReason::kStateNotStored,
                       error.what());
  } catch (const std::exception& bug) {
    spdlog::error("internal: {}", bug.what());
    return status_with(grpc::StatusCode::INTERNAL, ErrorReason::kInternal, bug.what());
  }
}

std::string code_name(grpc::StatusCode code) {
  constexpr std::array kNames = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

namespace {

CallCredentials credentials_of(const grpc::ServerContextBase& context) {
  CallCredentials credentials{.authorization = {}, .has_attempt_token = false, .peer = context.peer()};
  const auto& metadata = context.client_metadata();
  const auto [begin, end] = metadata.equal_range(kAuthorizationMetadata);
  for (auto entry = begin; entry != end; ++entry) {
    credentials.authorization.emplace_back(entry->second.data(), entry->second.size());
  }
  credentials.has_attempt_token = metadata.find(kAttemptTokenMetadata) != metadata.end();
  return credentials;
}

}  // namespace

std::shared_ptr<const AdmittedCall> RpcBoundary::admit(const grpc::ServerContextBase& context,
                                                       const char* method) const {
  return gate_.admit(service_ + "/" + method, credentials_of(context));
}

std::shared_ptr<const AdmittedCall> RpcBoundary::admit(const CallCredentials& credentials,
                                                       std::string_view method) const {
  return gate_.admit(service_ + "/" + std::string(method), credentials);
}

grpc::Status RpcBoundary::let_in(const char* method, const std::function<void()>& admission) const {
  try {
    admission();
    return grpc::Status::OK;
  } catch (...) {
    const std::exception_ptr refusal = std::current_exception();
    return answer(method, [&] { std::rethrow_exception(refusal); });
  }
}

grpc::Status RpcBoundary::answer(const char* method, const std::function<void()>& body) const {
  grpc::Status status;
  try {
    body();
  } catch (...) {
    status = status_of(std::current_exception());
  }
  count(method, status);
  return status;
}

grpc::Status RpcBoundary::answer(const grpc::ServerContextBase& context, const char* method,
                                 const RankBody& body) const {
  return answer(method, [&] {
    const std::shared_ptr<const AdmittedCall> call = admit(context, method);
    body(*call);
  });
}

void RpcBoundary::count(const char* method, const grpc::Status& status) const {
  if (!status.ok()) {
    spdlog::debug("{}/{}: {}: {}", service_, method, code_name(status.error_code()), status.error_message());
  }
  metrics_.count_rpc(service_ + "/" + method, code_name(status.error_code()));
}

}  // namespace equipoise::coordinator
