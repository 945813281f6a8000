// What a run's folder says of the run, in bounded memory whatever its length and the number of its groups: what the
// model card, trainer_state.json and report.html are made of. Of a run that has not ended, or was killed, what is
// there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/sha256.h"
#include "common/metrics/metrics_lines.h"
#include "equipoise/v1/job.pb.h"

namespace equipoise {

// A mean over pairs. NaN: it was no finite number.
struct SummaryMean {
  std::optional<double> value = {};
  std::optional<double> error = {};  // standard; none where the run has none, as of a single pair
};

struct SummaryGroup {
  SummaryMean loss = {};
  SummaryMean accuracy = {};         // pairs whose chosen reward is above the rejected one
  std::optional<double> pairs = {};  // that were evaluated
};

// Of all validation pairs.
struct SummaryEvaluation {
  std::int64_t step = 0;  // steps done
  SummaryMean loss = {}, accuracy = {};
  std::map<std::string, SummaryGroup> groups = {};

  // The name of the worst group; empty where there is no group.
  std::string worst() const;
  // The lowest accuracy of a group; none where groups have none.
  SummaryMean lowest_accuracy() const;
};

struct SummaryAttempt {
  std::string job_id, program, device;
  std::int64_t generation = 0;
  std::int64_t first_step = 0;
  int ranks = 0;
  bool is_from_checkpoint = false;
};

// Another job's checkpoint.
struct SummaryParent {
  std::string job_id;
  std::int64_t step = 0;  // steps done there
};

struct SummaryChange {
  std::int64_t step = 0;  // steps done when it took effect
  std::string setting;
  std::optional<double> from, to;
  std::string requester;  // empty: not known
};

// An entry of trainer_state.json's log_history as JSON, and the line it stands for.
struct SummaryEntry {
  std::int64_t line = 0;
  std::string text;
};

struct RunSummary {
  std::string folder_name;
  v1::JobSpec job;  // job.yaml
  bool has_ended = false;
  std::int64_t steps = 0;                          // done, as far as lines or the ledger say
  std::int64_t max_steps = 0;                      // planned; 0: not known
  std::int64_t step_lines = 0, skipped_lines = 0;  // of steps, and of those that changed no parameter
  double epoch = 0;
  std::int64_t tokens = 0;
  // The first evaluation, and that of the model in final/: the last, or the best with keep_best. The same one where
  // there is one only, none where nothing was evaluated.
  std::optional<SummaryEvaluation> before, after;
  std::optional<double> best_metric;  // with early_stopping: of the best evaluation
  std::int64_t best_step = 0;
  std::vector<std::pair<std::string, double>> weights;         // of the last line that has some
  std::vector<std::pair<std::string, double>> training_pairs;  // of each group, as counted in the data
  std::optional<Digest> dataset;                               // as checkpoints have it
  std::optional<SummaryParent> parent;                         // that the run began with: of a fork
  std::vector<SummaryAttempt> attempts;
  std::vector<std::int64_t> checkpoints;  // steps of those that were made
  std::vector<SummaryChange> changes;
  std::vector<SummaryEntry> log_history;
  // Lines at even distances, always with the first and the last.
  std::vector<std::string> training_lines, evaluation_lines;
  bool is_sampled = false;         // metrics.jsonl is so large that only samples of it were read
  std::vector<std::string> notes;  // what could not be read, and why
};

// `run` is a run's folder. Lines of metrics.jsonl that are none are passed by. Throws std::invalid_argument where there
// is no job.yaml or metrics.jsonl that can be read.
//   on_bytes  called as files are read
RunSummary read_run_summary(const std::filesystem::path& run, const std::function<void(std::int64_t)>& on_bytes = {},
                            const ReadingLimits& limits = {});

}  // namespace equipoise
