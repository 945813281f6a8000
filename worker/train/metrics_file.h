// metrics.jsonl of a run: one JSON object a line, names as in TRL plus the groups. Formats: docs/formats.md.
#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "worker/train/early_stopping.h"
#include "worker/train/step.h"

namespace equipoise {

// Speed since the line before.
struct Speed {
  double pairs_per_second = 0;
  double tokens_per_second = 0;
};

struct LinePosition {
  std::int64_t step = 0;  // optimiser steps done
  double epoch = 0;
};

// SFT compares no answers: its lines have no rewards and no accuracies.
enum class Rewards { kLogged, kNone };

// What only some losses and baselines have.
struct ExtraMetrics {
  bool nll = false;                                // an SFT term: nll_loss, group_nll_loss
  std::vector<double> train_baseline_K = {};       // b_g by group id, NaN: none; empty: no baseline
  std::vector<double> validation_baseline_K = {};  // the same
};

class MetricsFile {
 public:
  // Starts an empty file. Throws std::invalid_argument if it cannot.
  MetricsFile(const std::filesystem::path& path, std::vector<std::string> train_groups,
              std::vector<std::string> validation_groups, Rewards rewards, ExtraMetrics extra = {});

  // alpha_K  [K] over the training groups, after the step. Throws std::runtime_error when the disk refuses; each line
  // is flushed whole.
  void write_step(LinePosition position, const StepResult& result, std::span<const double> alpha_K, Speed speed);
  // Returns the numbers at the top of the line.
  EvaluationNumbers write_evaluation(LinePosition position, const BatchSums& sums, std::span<const double> alpha_K);

 private:
  std::filesystem::path path_;
  std::ofstream file_;
  std::vector<std::string> train_groups_;
  std::vector<std::string> validation_groups_;
  Rewards rewards_;
  ExtraMetrics extra_;
};

}  // namespace equipoise
