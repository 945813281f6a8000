// A call that is understood but cannot be done now, with the code its caller gets. Content that is wrong in itself
// is std::invalid_argument.
#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/protocol/error_reason.h"

namespace equipoise::coordinator {

class Refusal : public std::runtime_error {
 public:
  enum class Code {
    kInvalidArgument,  // only with a reason of its own
    kNotFound,
    kFailedPrecondition,  // not in this state, or not by this generation
    kUnauthenticated,     // nobody knows who calls
    kPermissionDenied,
    kAborted,            // contradicts what is on record
    kOutOfRange,         // not the next step
    kResourceExhausted,  // a limit
    kCancelled,          // the job is being cancelled
    kUnavailable,        // try again later
  };

  // With the reason that `code` mostly has.
  Refusal(Code code, const std::string& text) : Refusal(code, usual_reason(code), text) {}
  Refusal(Code code, ErrorReason reason, const std::string& text)
      : std::runtime_error(text), code_(code), reason_(reason) {}
  // The call may be made again after so long.
  Refusal(Code code, ErrorReason reason, const std::string& text, std::chrono::milliseconds retry_after)
      : std::runtime_error(text), code_(code), reason_(reason), retry_after_(retry_after) {}
  Code code() const { return code_; }
  ErrorReason reason() const { return reason_; }  // for programs
  // nullopt: it is not known, or what its reason says.
  std::optional<std::chrono::milliseconds> retry_after() const { return retry_after_; }

 private:
  static constexpr ErrorReason usual_reason(Code code) {
    switch (code) {
      case Code::kInvalidArgument:
        return ErrorReason::kInvalidArgument;
      case Code::kNotFound:
        return ErrorReason::kJobNotFound;
      case Code::kFailedPrecondition:
        return ErrorReason::kWrongState;
      case Code::kUnauthenticated:
        return ErrorReason::kNoValidToken;
      case Code::kPermissionDenied:
        return ErrorReason::kWrongToken;
      case Code::kAborted:
        return ErrorReason::kOtherContent;
      case Code::kOutOfRange:
        return ErrorReason::kStepOutOfOrder;
      case Code::kResourceExhausted:
        return ErrorReason::kLimitReached;
      case Code::kCancelled:
        return ErrorReason::kJobCancelled;
      case Code::kUnavailable:
        return ErrorReason::kShuttingDown;
    }
    return ErrorReason::kInternal;
  }

  Code code_;
  ErrorReason reason_;
  std::optional<std::chrono::milliseconds> retry_after_;
};

}  // namespace equipoise::coordinator
