// The writer of a run's metrics.jsonl (common/metrics/metrics_schema.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/descriptor.h"
#include "common/base/disk_fault.h"
#include "common/base/sha256.h"
#include "worker/training/trained_policy.h"

namespace equipoise {

// The numbers at the top of an evaluation's line by name, but for its step and epoch. Those of one file that have no
// prefix get its name in front: FILE_worst_group_loss.
using EvaluationNumbers = std::map<std::string, double>;

struct LinePosition {
  std::int64_t step = 0;  // optimiser steps done
  double epoch = 0;
};

// Speed since the line before, and tokens since the start. Log-linear policies have none.
struct Speed {
  double pairs_per_second = 0;
  std::optional<double> tokens_per_second = {};
  double num_tokens = 0;
};

MetricsJson step_line(const GroupedData& data, LinePosition position, bool is_skipped, const StepNumbers& step,
                      std::span<const double> alpha_K, const Speed& speed);
// alpha_K  [K] after the step
MetricsJson evaluation_line(const GroupedData& data, LinePosition position, const ValidationMeans& pairs,
                            std::span<const double> alpha_K);
EvaluationNumbers evaluation_numbers(const MetricsJson& line, const std::string& file);

// The names that evaluations have numbers for, so that a metric that none will have is refused before anything is
// computed. What a group of a single pair lacks is among them.
EvaluationNumbers expected_numbers(const TrainedPolicy& policy);

// Hands the first `bytes` of a file to `use`, in pieces. False where it has fewer or cannot be read.
bool read_beginning(const std::filesystem::path& file, std::int64_t bytes,
                    const std::function<void(std::string_view)>& use);
// SHA-256 of the first `bytes` of a file; nothing where it has fewer or cannot be read.
std::optional<Digest> digest_of_beginning(const std::filesystem::path& file, std::int64_t bytes);

class MetricsFile {
 public:
  // Starts an empty file, or goes on after the first `kept_bytes` of the one that is there, which is cut off after
  // them. Throws std::invalid_argument if it cannot, DiskFault where the disk is full.
  //   patience  for room on the disk; empty: none
  explicit MetricsFile(std::filesystem::path path, std::int64_t kept_bytes = 0, DiskPatience patience = {});

  // Each line is in the file when this returns. Throws as throw_write_fault().
  void write(const MetricsJson& line);

  // Of what is in it now.
  std::int64_t bytes() const { return bytes_; }
  Digest sha256() { return sha256_.so_far(); }

 private:
  std::filesystem::path path_;
  DiskPatience patience_;
  Descriptor file_;
  std::int64_t bytes_ = 0;
  Sha256 sha256_;
};

}  // namespace equipoise
