// An evaluation on one rank: a model, and perhaps its reference, on every pair of a data file.
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "worker/collective/gpu_library.h"

namespace equipoise {

// Tells the command line how far an evaluation is: a small file that is replaced now and then.
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

// What `equipoise evaluate` asks for; only rank 0 looks at these paths.
struct EvaluationFiles {
  std::filesystem::path request;   // a job file: sections model, data (its train is the file), loss, training
  std::filesystem::path pairs;     // exists; receives a line per pair
  std::filesystem::path summary;   // receives the table's numbers, see evaluated_pairs.h
  std::filesystem::path progress;  // empty: none
};

struct EvaluationContext {
  const EvaluationFiles& files;
  spdlog::logger& log;
  Collective& host;
  torch::Device device;
  int threads;  // for tokenising
};

// Every rank scores a contiguous part of the pairs; rank 0 writes. The result does not depend on their number.
// There is no reference with loss.reference_free and loss.type sft.
// Throws std::invalid_argument for bad input, std::runtime_error for a disk that refuses, PeerError.
void run_evaluation(const EvaluationContext& context);

}  // namespace equipoise
