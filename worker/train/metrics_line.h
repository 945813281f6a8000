// Lines of metrics.jsonl as JSON: names as in TRL plus the groups, `_error` behind the name of a mean for its standard
// error. Formats: docs/formats.md.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "worker/train/step.h"

namespace equipoise {

// Keeps the order of insertion: people read this file too.
using MetricsLine = nlohmann::ordered_json;

// Speed since the line before, and tokens since the start: prompt and answer of each, as TRL counts them.
struct Speed {
  double pairs_per_second = 0;
  double tokens_per_second = 0;
  double num_tokens = 0;
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

// What all lines of a run have in common.
struct LineSettings {
  std::vector<std::string> train_groups;
  std::vector<std::string> validation_groups;
  Rewards rewards = Rewards::kLogged;
  ExtraMetrics extra = {};
};

// alpha_K  [K] over the training groups, after the step.
MetricsLine step_line(const LineSettings& settings, LinePosition position, const StepResult& result,
                      std::span<const double> alpha_K, Speed speed);
// Of all validation pairs.
MetricsLine evaluation_line(const LineSettings& settings, LinePosition position, const BatchSums& sums,
                            std::span<const double> alpha_K);
// Of those of one file: split is "validation/FILE", and "eval_FILE_" takes the place of "eval_".
MetricsLine file_line(const LineSettings& settings, LinePosition position, const std::string& file,
                      const BatchSums& sums);

}  // namespace equipoise
