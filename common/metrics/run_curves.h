// Curves of a run from its metrics.jsonl, thinned: losses, weights and accuracies with their standard errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "common/metrics/run_file.h"

namespace equipoise {

struct CurveQuery {
  std::size_t points = 300;         // of each curve at most, and the newest beside them
  std::vector<std::string> groups;  // the others are left out
};

// JSON: {"train": CURVES, "validation": CURVES, "bytes": N, "sampled": false}. CURVES has the columns step, loss and
// lossError, worstLoss and lowestAccuracy over all groups of a validation line, and `groups` by name with loss,
// lossError, weight, accuracy and accuracyError; null where a line has no such number. Without a file, or with one that
// may not be read, all are empty. Lines are taken at even distances, always with the last one. Of a file above 64 MiB,
// `sampled` is true: lines at even distances in bytes, so that evaluations between them are missing.
std::string curves_json(const std::filesystem::path& file, const CurveQuery& query, const MayRead& may_read);

// CURVES of lines of one kind.
enum class CurveSplit { kTraining, kValidation };
nlohmann::json curves_of(std::span<const std::string> lines, CurveSplit split, std::span<const std::string> groups);

}  // namespace equipoise
