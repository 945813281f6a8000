#include "coordinator/service/rpc_status.h"

#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <optional>
#include <stdexcept>

#include "common/base/message_text.h"
#include "common/base/service_access.h"
#include "common/protocol/attempt_token.h"
#include "common/protocol/error_reason.h"
#include "coordinator/job/refusal.h"
#include "coordinator/service/wrong_field.h"
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

using RequestType = const google::protobuf::Descriptor*;

// After which a call is worth another try, where nothing else is known: whether anything can be stored is looked at
// once a second, a coordinator that starts again is back within two.
std::optional<std::chrono::milliseconds> usual_delay(ErrorReason reason) {
  constexpr std::chrono::seconds kOfTheDisk{1}, kOfAStart{2}, kOfFiles{10};
  switch (reason) {
    case ErrorReason::kStateNotStored:
      return kOfTheDisk;
    case ErrorReason::kShuttingDown:
      return kOfAStart;
    case ErrorReason::kFilesUnreachable:
      return kOfFiles;
    default:
      return std::nullopt;
  }
}

struct RefusedAnswer {
  grpc::StatusCode code;
  ErrorReason reason;
  std::string text;
  std::optional<std::chrono::milliseconds> retry_after = {};
};

grpc::Status status_with(const RefusedAnswer& answer, RequestType request) {
  ErrorText copy{.code = static_cast<int>(answer.code), .message = one_line(utf8_text(answer.text), kLongestCopy)};
  const bool is_of_request = answer.code == grpc::StatusCode::INVALID_ARGUMENT && request != nullptr;
  if (is_of_request) copy.field = wrong_field(answer.text, *request);
  copy.retry_after = answer.retry_after ? answer.retry_after : usual_delay(answer.reason);
  return {answer.code, one_line(utf8_text(answer.text), kLongestMessage), error_details(copy, answer.reason)};
}

RefusedAnswer answer_to(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::invalid_argument& wrong) {
    return {.code = grpc::StatusCode::INVALID_ARGUMENT, .reason = ErrorReason::kInvalidArgument, .text = wrong.what()};
  } catch (const Refusal& refusal) {
    return {.code = code_of(refusal.code()),
            .reason = refusal.reason(),
            .text = refusal.what(),
            .retry_after = refusal.retry_after()};
  } catch (const StoreError& error) {
    const bool is_damaged = error.cause() == StoreError::Cause::kDamaged;
    if (is_damaged) spdlog::error("{}", error.what());  // others: SharedController, once
    return {.code = code_of(error.cause()),
            .reason = is_damaged ? ErrorReason::kRecordDamaged : ErrorReason::kStateNotStored,
            .text = error.what()};
  } catch (const std::exception& bug) {
    spdlog::error("internal: {}", bug.what());
    return {.code = grpc::StatusCode::INTERNAL, .reason = ErrorReason::kInternal, .text = bug.what()};
  }
}

}  // namespace

grpc::Status status_of(const std::exception_ptr& failure, const google::protobuf::Descriptor* request) {
  return status_with(answer_to(failure), request);
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
    status = status_of(std::current_exception(), request_of(method));
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

const google::protobuf::Descriptor* RpcBoundary::request_of(const char* method) const {
  const google::protobuf::MethodDescriptor* const found =
      google::protobuf::DescriptorPool::generated_pool()->FindMethodByName("equipoise.v1." + service_ + "." + method);
  return found == nullptr ? nullptr : found->input_type();
}

void RpcBoundary::count(const char* method, const grpc::Status& status) const {
  if (!status.ok()) {
    spdlog::debug("{}/{}: {}: {}", service_, method, code_name(status.error_code()), status.error_message());
  }
  metrics_.count_rpc(service_ + "/" + method, code_name(status.error_code()));
}

}  // namespace equipoise::coordinator
