// How failures travel: std::invalid_argument for a bad argument, file or setting; PeerError for another process,
// network or GPU peer; EQUIPOISE_CHECK for our own bugs. Only main() and RPC handlers catch.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace equipoise {

// Another process failed, went away or did not answer in time. The message names it, what was asked of it and
// how long was waited.
class PeerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Prints the failed condition and where it stands, then aborts.
[[noreturn]] void check_failed(std::string_view condition, std::string_view file, int line);

}  // namespace equipoise

#define EQUIPOISE_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::equipoise::check_failed(#condition, __FILE__, __LINE__))
