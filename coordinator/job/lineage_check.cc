#include "coordinator/job/lineage_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include "common/base/message_text.h"
#include "common/base/sha256.h"
#include "coordinator/job/refusal.h"
#include "coordinator/job/step_history.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kDigestBytesShown = 8;

[[noreturn]] void refuse_start(const v1::TrainingJob& job, const std::string& why) {
  throw Refusal(Refusal::Code::kFailedPrecondition, "job " + job.id() + ": " + why);
}

std::string short_hex(const std::string& digest) {
  const auto bytes = std::as_bytes(std::span(digest));
  return hex_text(bytes.first(std::min(bytes.size(), kDigestBytesShown))) + "...";
}

// Of a number that both have: which bits a NaN has is nobody's choice.
bool same_bits(double left, double right) {
  if (std::isnan(left) && std::isnan(right)) return true;
  return std::bit_cast<std::uint64_t>(left) == std::bit_cast<std::uint64_t>(right);
}

// What of the data is another than it was, "FIELD is X, it was Y"; empty: nothing.
std::string data_difference(const v1::StartTrainingRequest& now, const v1::StartTrainingRequest& before) {
  if (now.num_pairs() != before.num_pairs()) {
    return "num_pairs is " + std::to_string(now.num_pairs()) + ", it was " + std::to_string(before.num_pairs());
  }
  if (now.group_names_size() != before.group_names_size()) {
    return "there are " + std::to_string(now.group_names_size()) + " groups, there were " +
           std::to_string(before.group_names_size());
  }
  for (int g = 0; g < now.group_names_size(); ++g) {
    if (now.group_names(g) != before.group_names(g)) {
      return "group " + std::to_string(g) + " is " + quoted_text(now.group_names(g)) + ", it was " +
             quoted_text(before.group_names(g));
    }
    if (same_bits(now.group_pair_count(g), before.group_pair_count(g))) continue;
    return "group " + quoted_text(now.group_names(g)) + " has " + number_text(now.group_pair_count(g)) +
           " pairs, it had " + number_text(before.group_pair_count(g));
  }
  if (now.dataset_digest() == before.dataset_digest()) return "";
  return "the pairs as tokens are others: dataset_digest is " + short_hex(now.dataset_digest()) + ", it was " +
         short_hex(before.dataset_digest());
}

// Whether what eta_alpha has seen so far decides of its next steps.
bool has_plateau(const JobConfig& config) { return config.robust.settings.step_plateau.factor < 1; }

std::string number_difference(const std::string& what, double found, double recorded) {
  return what + " is " + number_text(found) + ", on record " + number_text(recorded);
}

// Of two states of the same groups; empty: there is none.
std::string difference_of(const v1::WeightState& found, const v1::WeightState& recorded, bool with_schedule,
                          const v1::StartTrainingRequest& request) {
  for (int g = 0; g < recorded.log_alpha_size(); ++g) {
    if (same_bits(found.log_alpha(g), recorded.log_alpha(g))) continue;
    return number_difference("log_alpha of group " + quoted_text(request.group_names(g)), found.log_alpha(g),
                             recorded.log_alpha(g));
  }
  for (int g = 0; g < recorded.group_loss_size(); ++g) {
    if (same_bits(found.group_loss(g), recorded.group_loss(g))) continue;
    return number_difference("group_loss of group " + quoted_text(request.group_names(g)), found.group_loss(g),
                             recorded.group_loss(g));
  }
  const v1::StepSizeState &size = found.step_size(), &known = recorded.step_size();
  if (!same_bits(size.step_size(), known.step_size())) {
    return number_difference("eta_alpha", size.step_size(), known.step_size());
  }
  if (!with_schedule) return "";
  if (!same_bits(size.best(), known.best())) {
    return number_difference("the best loss that eta_alpha has seen", size.best(), known.best());
  }
  if (size.waited() == known.waited()) return "";
  return "eta_alpha has waited " + std::to_string(size.waited()) + " steps, on record " +
         std::to_string(known.waited());
}

// `start` is where the attempt begins; the line is not empty.
void check_start_on_record(JobStore& store, const JobConfig& config, const v1::TrainingJob& job,
                           const v1::StartTrainingRequest& request, const std::vector<LineageSegment>& line) {
  const v1::WeightState& weights = request.resume().weights();
  const std::int64_t steps = weights.steps();
  // Where two attempts meet, the earlier one's last step is what the weights are of.
  const auto segment =
      std::ranges::find_if(line, [&](const LineageSegment& part) { return part.first < steps && steps <= part.end; });
  const bool is_start_of_line = segment == line.end() && steps == line.front().first;
  if (segment == line.end() && !is_start_of_line) {
    refuse_start(job, "its checkpoint is of " + counted(steps, "step") + ", but the steps on record end at " +
                          std::to_string(line.back().end) +
                          ", as where the state folder is from a backup of before: cancel the job, and submit it again "
                          "with training.resume_from_checkpoint: latest");
  }
  const std::int64_t generation = is_start_of_line ? line.front().generation : segment->generation;
  const v1::WeightState known =
      StepHistory(store, config, job.id(), job.settings_changes()).weights_after(generation, steps);
  const std::string difference = difference_of(weights, known, has_plateau(config), request);
  if (difference.empty()) return;
  refuse_start(
      job, "the weights in its checkpoint are not those on record after " + counted(steps, "step") + ": " + difference);
}

void check_origin(JobStore& store, const v1::TrainingJob& job, const v1::ResumePoint& resume,
                  const std::vector<LineageSegment>& line) {
  if (resume.job_id() != job.id()) return;
  const std::vector<std::int64_t> trained = store.trained_generations(job.id());
  const bool is_known =
      resume.generation() < job.generation() && std::ranges::find(trained, resume.generation()) != trained.end();
  if (!is_known) {
    refuse_start(job, "its checkpoint says that attempt " + std::to_string(resume.generation()) +
                          " made it, but no such attempt before attempt " + std::to_string(job.generation()) +
                          " has trained");
  }
  if (line.empty()) refuse_start(job, "it has no steps on record, but its checkpoint says that it is of this job");
}

}  // namespace

std::vector<LineageSegment> lineage_of(JobStore& store, const std::string& job_id) {
  std::vector<LineageSegment> line;
  for (const std::int64_t generation : store.trained_generations(job_id)) {
    const auto training = store.training(job_id, generation);
    if (!training) continue;
    const std::int64_t first = training->response.plan().first_step();
    std::erase_if(line, [&](const LineageSegment& earlier) { return earlier.first >= first; });
    // It could only begin at a step that the attempt before it had reached.
    if (!line.empty()) line.back().end = first;
    line.push_back({.generation = generation, .first = first, .end = first});
  }
  if (line.empty()) return line;
  LineageSegment& newest = line.back();
  const auto last = store.step_rows().last_number(job_id, newest.generation, newest.first);
  if (last) newest.end = *last + 1;
  return line;
}

void check_same_data(JobStore& store, const v1::TrainingJob& job, const v1::StartTrainingRequest& request) {
  const auto earlier = store.newest_training(job.id());
  if (!earlier) return;
  const std::string difference = data_difference(request, earlier->request);
  if (difference.empty()) return;
  refuse_start(job, "dataset changed since attempt " + std::to_string(earlier->request.generation()) +
                        " trained on it: " + difference);
}

void check_lineage(JobStore& store, const JobConfig& config, const v1::TrainingJob& job,
                   const v1::StartTrainingRequest& request) {
  const std::vector<LineageSegment> line = lineage_of(store, job.id());
  if (request.has_resume()) check_origin(store, job, request.resume(), line);
  if (line.empty()) return;
  const std::int64_t start = request.has_resume() ? request.resume().weights().steps() : 0;
  const bool is_own = request.has_resume() && request.resume().job_id() == job.id();
  // The same checkpoint of another job that the first attempt began with, too.
  if (!is_own && job.has_checkpoint_step()) {
    refuse_start(job, "it has a checkpoint of step " + std::to_string(job.checkpoint_step()) +
                          " on record, but attempt " + std::to_string(job.generation()) + " begins at step " +
                          std::to_string(start) +
                          ": the steps after the checkpoint would be done from the beginning again; give the job its "
                          "checkpoint back, or submit a new one");
  }
  const bool begins_before_all = start < line.front().first || !request.has_resume();
  if (!begins_before_all) return check_start_on_record(store, config, job, request, line);
  if (is_own) {
    refuse_start(job, "its checkpoint is of " + counted(start, "step") + ", but the steps on record begin at " +
                          std::to_string(line.front().first));
  }
}

}  // namespace equipoise::coordinator
