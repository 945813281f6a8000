// One line that says how far a job is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "client/console.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

// The group that is worst off now: its loss and how much it counts.
struct WorstGroup {
  std::string name;
  double loss = 0;
  double weight = 0;
};

struct ProgressView {
  std::string label;             // the job's name
  std::string activity;          // what is being done where no step counts yet, or after the last; else empty
  std::int64_t step = 0;         // done
  std::int64_t total_steps = 0;  // 0: not known yet
  std::optional<double> pairs_per_second;
  std::optional<std::chrono::seconds> time_left;
  std::optional<double> loss;
  std::optional<WorstGroup> worst;
};

// Highest loss in the newest batch; where no group has one, in the newest evaluation; nothing with a single group.
std::optional<WorstGroup> worst_group(const v1::TrainingJob& job);

ProgressView progress_view(const v1::TrainingJob& job);

// Whole percent done, rounded down; 0 while the total is unknown.
int percent_done(const ProgressView& view);

// For a terminal: a bar and as much text as fits in `columns`, never wider. What matters less is left out first:
// the label, the speed, the loss, the bar, then the worst group's weight.
std::string bar_line(const ProgressView& view, std::size_t columns, Glyphs glyphs);

// For a file or a pipe: everything, without a bar; "step 50/200" once steps are done.
std::string plain_line(const ProgressView& view);

// The newest evaluation: "gr-dpo  evaluation: worst Republican loss 0.6512, accuracy 0.563; mean accuracy over groups
// 0.612". Empty where there was none.
std::string evaluation_line(const v1::TrainingJob& job);

}  // namespace equipoise
