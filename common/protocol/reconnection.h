// Whether a coordinator that did not answer may come back, and how soon it is found again, alike for ranks and for the
// command line.
#pragma once

#include <string>

namespace equipoise {

// Whether the call was cut off, so that nobody knows what became of it: a coordinator that stops or dies may come back
// and answer. gRPC says so with several codes, CANCELLED among them where a server shuts down; a status that the
// coordinator wrote has an ErrorInfo (error.proto) beside it, and is an answer unless its code is UNAVAILABLE. `code`
// is that of the status, `details` are its bytes for programs.
bool was_cut_off(int code, const std::string& details);

// Initial metadata of WatchTrainingJob, sent as soon as the caller follows the job: there may be nothing new to say.
inline constexpr const char* kWatchOpenMetadata = "equipoise-watch";

// Arguments of a gRPC channel, in milliseconds. A coordinator that starts again is back within a second or two.
inline constexpr int kFirstReconnectPauseMs = 100;
inline constexpr int kLongestReconnectPauseMs = 1000;
// A host that drops packets is tried again this soon.
inline constexpr int kConnectTimeoutMs = 5000;
// A connection whose other end is gone without a word is noticed after the two of them. Coordinators take no pings
// that are less than 10 s apart.
inline constexpr int kKeepaliveMs = 20000;
inline constexpr int kKeepaliveAnswerMs = 10000;

// While no call waits, gRPC looks after its connections every 5 s only; from now on every 100 ms, unless the
// environment says otherwise. Call before the first channel, from the only thread.
void find_coordinators_again_soon();

}  // namespace equipoise
