// Why a call was refused, for programs: the reason of the ErrorInfo that comes with every status (error.proto). One
// code stands for several reasons, and whoever made the call does something else after each.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace equipoise {

enum class ErrorReason {
  // This rank's attempt is over, and the rank ends.
  kStaleGeneration,  // the call is of another attempt than the job's newest
  kJobEnded,         // the job is in a final state
  kJobCancelled,     // or is being cancelled
  kWrongToken,       // the call is not signed with the token of the job's attempt
  // Who calls may not.
  kNoValidToken,  // no token came with the call, or one that is not known
  kRoleTooLow,    // the token is known, and its role may not do this
  // What the call asks for may be granted later, without any change of the call.
  kStateNotStored,    // nothing can be stored at the moment, as on a full disk; nothing has changed
  kStateLost,         // what is stored would be lost: files of the state folder were deleted or replaced
  kFilesUnreachable,  // the file system of the files that are asked for does not answer
  kShuttingDown,
  // The call itself does not fit.
  kInvalidArgument,
  kRequestIdReused,  // by another request than the one that had it first
  kEtagMismatch,     // the job is not as the caller has seen it
  kJobNotFound,
  kHostNotFound,
  kWrongState,    // of the job, or of what it needs
  kOtherContent,  // than what is on record for the same step or rank
  kStepOutOfOrder,
  kLimitReached,
  kRecordDamaged,  // what is stored of the job cannot be read
  kInternal,
};

// "STATE_NOT_STORED".
std::string_view reason_name(ErrorReason reason);

struct ErrorText {
  int code;  // of the status
  std::string message;
  std::string field = {};                                     // of the request, that is wrong; empty: not one
  std::optional<std::chrono::milliseconds> retry_after = {};  // > 0; nullopt: it is not known when
};

// The bytes of google.rpc.Status for a status of `text`: a google.rpc.ErrorInfo, and a BadRequest and a RetryInfo where
// there is something to say with them.
std::string error_details(const ErrorText& text, ErrorReason reason);

// The reason in those bytes; nullopt where there is none, or one of another service, or one that only a newer program
// knows.
std::optional<ErrorReason> reason_in(const std::string& details);

// The first field of the request that is said to be wrong; empty: none.
std::string field_in(const std::string& details);

// After which the call may be made again.
std::optional<std::chrono::milliseconds> retry_after_in(const std::string& details);

}  // namespace equipoise
