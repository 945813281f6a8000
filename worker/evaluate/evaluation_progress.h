// Tells the command line how far an evaluation is: a small file that is replaced now and then.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

namespace equipoise {

class EvaluationProgress {
 public:
  // An empty path: nobody is told. It must not be in the way of another file.
  explicit EvaluationProgress(std::filesystem::path path) : path_(std::move(path)) {}

  // {"activity": text, "percent": n}. A new activity is told at once, a percentage five times a second at most.
  // A file that cannot be written is no reason to stop: nothing is thrown.
  void tell(const std::string& activity, std::int64_t percent);

 private:
  std::filesystem::path path_;
  std::string activity_;
  std::chrono::steady_clock::time_point told_;
};

}  // namespace equipoise
