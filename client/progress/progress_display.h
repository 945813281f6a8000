// Shows a job's progress while it runs.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/console/console.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise {

using SteadyTime = std::chrono::steady_clock::time_point;

// Not thread-safe.
class ProgressDisplay {
 public:
  virtual ~ProgressDisplay() = default;
  // The job as it is now; called on every change, and again without one from time to time.
  virtual void show(const v1::TrainingJob& job, SteadyTime now) = 0;
  // A sentence that stays.
  virtual void note(const std::string& text) = 0;
  // No more progress: leaves the terminal as it was, the last line still to be read. Also done by the destructor.
  virtual void finish() = 0;
};

// One line at the bottom that is drawn again in place, evaluations above it; for a terminal. Hides the cursor while
// it lives.
std::unique_ptr<ProgressDisplay> make_live_display(const Console& console);

// The same with the groups below the line, worst first, as many as the terminal has room for, at most ten; they are
// erased at the end.
std::unique_ptr<ProgressDisplay> make_watching_display(const Console& console);

// A line when 5 % more is done, when the activity changes, after an evaluation, and otherwise every 10 s.
std::unique_ptr<ProgressDisplay> make_plain_display(const Console& console);

// Nothing at all.
std::unique_ptr<ProgressDisplay> make_silent_display();

// Live on a terminal, plain elsewhere.
std::unique_ptr<ProgressDisplay> make_display(const Console& console);

// Of one run among many: live on a terminal, with `prefix` ("5/21  ") before the line, without evaluations; finish()
// erases the line, and what is to stay is for the caller to write. Nothing elsewhere.
std::unique_ptr<ProgressDisplay> make_display_among_many(const Console& console, std::string prefix);

// Tells a new evaluation from one that was seen.
class EvaluationMemory {
 public:
  // Whether `job` carries validation results that the call before did not.
  bool is_new(const v1::TrainingJob& job);

 private:
  std::vector<double> seen_;
};

}  // namespace equipoise
