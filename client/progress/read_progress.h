// How far the reading of many bytes is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/console/console.h"
#include "client/progress/progress_display.h"
#include "client/progress/progress_line.h"

namespace equipoise {

// A line at the bottom of a terminal, from the moment on that it has taken over two seconds; nothing elsewhere. Not
// thread-safe.
class ReadProgress {
 public:
  //   label  the verb: "verify"
  ReadProgress(const Console& console, std::string label, std::int64_t total_bytes, SteadyTime start);

  void add(std::int64_t bytes, SteadyTime now);  // that were read since the call before
  void note(const std::string& text);            // a sentence that stays, on any console

 private:
  ProgressView view(SteadyTime now) const;

  Console console_;
  std::string label_;
  std::int64_t total_bytes_;
  std::int64_t bytes_ = 0;
  SteadyTime start_;
  std::optional<TerminalLine> line_;
};

}  // namespace equipoise
