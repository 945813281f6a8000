// How soon a program finds a coordinator again that was away, alike for ranks and for the command line.
#pragma once

namespace equipoise {

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
