#include "common/protocol/error_reason.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "equipoise/v1/error.pb.h"

namespace equipoise {
namespace {

constexpr const char* kErrorDomain = "equipoise.v1";
constexpr const char* kErrorInfoType = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr const char* kBadRequestType = "type.googleapis.com/google.rpc.BadRequest";
constexpr const char* kRetryInfoType = "type.googleapis.com/google.rpc.RetryInfo";

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

namespace {

void add_detail(v1::RpcStatus& status, const char* type, const google::protobuf::Message& content) {
  google::protobuf::Any& detail = *status.add_details();
  detail.set_type_url(type);
  detail.set_value(content.SerializeAsString());
}

// Those of one type, as far as they are such.
template <typename Detail>
std::vector<Detail> details_of(const std::string& details, const char* type) {
  std::vector<Detail> found;
  v1::RpcStatus status;
  if (details.empty() || !status.ParseFromString(details)) return found;
  for (const google::protobuf::Any& detail : status.details()) {
    Detail content;
    if (detail.type_url() == type && content.ParseFromString(detail.value())) found.push_back(std::move(content));
  }
  return found;
}

constexpr std::int64_t kMsOfSecond = 1000, kNsOfMs = 1'000'000;

}  // namespace

std::string error_details(const ErrorText& text, ErrorReason reason) {
  v1::RpcStatus status;
  status.set_code(text.code);
  status.set_message(text.message);
  v1::ErrorInfo info;
  info.set_reason(std::string(reason_name(reason)));
  info.set_domain(kErrorDomain);
  add_detail(status, kErrorInfoType, info);
  if (!text.field.empty()) {
    v1::BadRequest wrong;
    v1::FieldViolation& violation = *wrong.add_field_violations();
    violation.set_field(text.field);
    violation.set_description(text.message);
    add_detail(status, kBadRequestType, wrong);
  }
  if (text.retry_after) {
    v1::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(text.retry_after->count() / kMsOfSecond);
    retry.mutable_retry_delay()->set_nanos(static_cast<int>(text.retry_after->count() % kMsOfSecond * kNsOfMs));
    add_detail(status, kRetryInfoType, retry);
  }
  return status.SerializeAsString();
}

std::optional<ErrorReason> reason_in(const std::string& details) {
  for (const v1::ErrorInfo& info : details_of<v1::ErrorInfo>(details, kErrorInfoType)) {
    if (const auto reason = reason_of(info)) return reason;
  }
  return std::nullopt;
}

std::string field_in(const std::string& details) {
  for (const v1::BadRequest& wrong : details_of<v1::BadRequest>(details, kBadRequestType)) {
    if (!wrong.field_violations().empty()) return wrong.field_violations(0).field();
  }
  return "";
}

std::optional<std::chrono::milliseconds> retry_after_in(const std::string& details) {
  const auto found = details_of<v1::RetryInfo>(details, kRetryInfoType);
  if (found.empty()) return std::nullopt;
  const google::protobuf::Duration& delay = found.front().retry_delay();
  constexpr std::int64_t kLongestS = 24 * 3600;  // whatever the bytes say
  if (delay.seconds() < 0 || delay.seconds() > kLongestS || delay.nanos() < 0) return std::nullopt;
  return std::chrono::milliseconds(delay.seconds() * kMsOfSecond + delay.nanos() / kNsOfMs);
}

}  // namespace equipoise
