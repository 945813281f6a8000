// The secret of an attempt that the coordinator launched, with which its ranks sign every call.
#pragma once

namespace equipoise {

// gRPC metadata of a call of WorkerService. The value is EQUIPOISE_ATTEMPT_TOKEN of the rank's environment.
inline constexpr const char* kAttemptTokenMetadata = "equipoise-attempt-token";

}  // namespace equipoise
