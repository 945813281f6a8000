// How far work of this process is that takes a while: bytes that are read, and parts one after the other.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "client/console/console.h"
#include "client/progress/progress_display.h"
#include "client/progress/progress_line.h"

namespace equipoise {

// A line at the bottom of a terminal, from the moment on that the work has taken over two seconds; nothing elsewhere.
// Not thread-safe.
class LateLine {
 public:
  LateLine(const Console& console, SteadyTime start) : console_(console), start_(start) {}

  void show(const ProgressView& view, SteadyTime now);
  void note(const std::string& text);  // a sentence that stays, on any console

 private:
  Console console_;
  SteadyTime start_;
  std::optional<TerminalLine> line_;
};

class ReadProgress {
 public:
  //   label  the verb: "verify"
  ReadProgress(const Console& console, std::string label, std::int64_t total_bytes, SteadyTime start);

  void add(std::int64_t bytes, SteadyTime now);  // that were read since the call before
  void note(const std::string& text) { line_.note(text); }

 private:
  ProgressView view(SteadyTime now) const;

  LateLine line_;
  std::string label_;
  std::int64_t total_bytes_;
  std::int64_t bytes_ = 0;
  SteadyTime start_;
};

// Each part has its own share done and time left; it begins when it is first shown.
class PartProgress {
 public:
  PartProgress(const Console& console, std::string label, SteadyTime start)
      : line_(console, start), label_(std::move(label)) {}

  //   share  of the part, in [0, 1]
  void show(const std::string& part, double share, SteadyTime now);

 private:
  LateLine line_;
  std::string label_;
  std::string part_;
  SteadyTime part_start_;
};

// By the pace until now. Nothing as long as there is none.
std::optional<std::chrono::seconds> time_left_of(double share_done, std::chrono::duration<double> taken);

}  // namespace equipoise
