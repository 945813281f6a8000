// An evaluation on one rank: a model, and perhaps its reference, on every pair of a data file.
#pragma once

#include <spdlog/logger.h>

#include <filesystem>

#include "worker/collective/gpu_library.h"

namespace equipoise {

// What `equipoise evaluate` asks for; only rank 0 looks at these paths.
struct EvaluationFiles {
  std::filesystem::path request;   // a job file: sections model, data (its train is the file), loss, training
  std::filesystem::path pairs;     // exists; receives a line per pair
  std::filesystem::path summary;   // receives the table's numbers, see evaluated_pairs.h
  std::filesystem::path activity;  // an ActivityFile; empty: none
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
