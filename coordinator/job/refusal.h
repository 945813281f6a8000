// A call that is understood but cannot be done now, with the code its caller gets. Content that is wrong in itself
// is std::invalid_argument.
#pragma once

#include <stdexcept>
#include <string>

namespace equipoise::coordinator {

class Refusal : public std::runtime_error {
 public:
  enum class Code {
    kNotFound,
    kFailedPrecondition,  // not in this state, or not by this generation
    kPermissionDenied,
    kAborted,            // contradicts what is on record
    kOutOfRange,         // not the next step
    kResourceExhausted,  // a limit, or the disk is full
    kCancelled,          // the job is being cancelled
    kUnavailable,        // try again later
  };

  Refusal(Code code, const std::string& reason) : std::runtime_error(reason), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

}  // namespace equipoise::coordinator
