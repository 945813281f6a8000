#include "common/protocol/error_reason.h"

#include <algorithm>
#include <array>
#include <utility>

#include "equipoise/v1/error.pb.h"

namespace equipoise {
namespace {

constexpr const char* kErrorDomain = "equipoise.v1";
constexpr const char* kErrorInfoType = "type.googleapis.com/google.rpc.ErrorInfo";

constexpr auto kReasonNames = std::to_array<std::pair<ErrorReason, std::string_view>>({
    {ErrorReason::kStaleGeneration, "STALE_GENERATION"},
    {ErrorReason::kJobEnded, "JOB_ENDED"},
    {ErrorReason::kJobCancelled, "JOB_CANCELLED"},
    {ErrorReason::kWrongToken, "WRONG_TOKEN"},
    {ErrorReason::kNoValidToken, "NO_VALID_TOKEN"},
    {ErrorReason::kRoleTooLow, "ROLE_TOO_LOW"},
    {ErrorReason::kStateNotStored, "STATE_NOT_STORED"},
    {ErrorReason::kStateLost, "STATE_LOST"},
    {ErrorReason::kFilesUnreachable, "FILES_UNREACHABLE"},
    {ErrorReason::kShuttingDown, "SHUTTING_DOWN"},
    {ErrorReason::kInvalidArgument, "INVALID_ARGUMENT"},
    {ErrorReason::kRequestIdReused, "REQUEST_ID_REUSED"},
    {ErrorReason::kEtagMismatch, "ETAG_MISMATCH"},
    {ErrorReason::kJobNotFound, "JOB_NOT_FOUND"},
    {ErrorReason::kHostNotFound, "HOST_NOT_FOUND"},
    {ErrorReason::kWrongState, "WRONG_STATE"},
    {ErrorReason::kOtherContent, "OTHER_CONTENT"},
    {ErrorReason::kStepOutOfOrder, "STEP_OUT_OF_ORDER"},
    {ErrorReason::kLimitReached, "LIMIT_REACHED"},
    {ErrorReason::kRecordDamaged, "RECORD_DAMAGED"},
    {ErrorReason::kInternal, "INTERNAL"},
});

std::optional<ErrorReason> reason_of(const v1::ErrorInfo& info) {
  if (info.domain() != kErrorDomain) return std::nullopt;
  const auto* const known =
      std::ranges::find(kReasonNames, info.reason(), [](const auto& entry) { return entry.second; });
  return known == kReasonNames.end() ? std::nullopt : std::optional(known->first);
}

}  // namespace

std::string_view reason_name(ErrorReason reason) {
  const auto* const known = std::ranges::find(kReasonNames, reason, [](const auto& entry) { return entry.first; });
  return known == kReasonNames.end() ? "INTERNAL" : known->second;
}

std::string error_details(const ErrorText& text, ErrorReason reason) {
  v1::ErrorInfo info;
  info.set_reason(std::string(reason_name(reason)));
  info.set_domain(kErrorDomain);
  v1::RpcStatus status;
  status.set_code(text.code);
  status.set_message(text.message);
  google::protobuf::Any& detail = *status.add_details();
  detail.set_type_url(kErrorInfoType);
  detail.set_value(info.SerializeAsString());
  return status.SerializeAsString();
}

std::optional<ErrorReason> reason_in(const std::string& details) {
  v1::RpcStatus status;
  if (details.empty() || !status.ParseFromString(details)) return std::nullopt;
  for (const google::protobuf::Any& detail : status.details()) {
    v1::ErrorInfo info;
    if (detail.type_url() != kErrorInfoType || !info.ParseFromString(detail.value())) continue;
    if (const auto reason = reason_of(info)) return reason;
  }
  return std::nullopt;
}

}  // namespace equipoise
