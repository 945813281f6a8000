// What one job has been promised, and what its ranks have on their disk: what the invariants compare the coordinator
// with.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/protocol/live_settings.h"
#include "coordinator/job/job_controller.h"
#include "equipoise/v1/training.pb.h"
#include "equipoise/v1/worker.pb.h"
#include "tests/coordinator/simulation/simulated_world.h"

namespace equipoise::coordinator {

struct SimulatedCheckpoint {
  std::int64_t generation = 0;
  v1::WeightState weights;      // weights.steps(): steps done
  std::size_t evaluations = 0;  // lines of them that its ranks had written
};

// An evaluation's line in metrics.jsonl.
struct EvaluationLine {
  std::int64_t step = 0;   // steps done
  bool was_asked = false;  // by people: the job would not have made it of itself
};

// Of a checkpoint of a simulated rank: all that there is in one is its manifest.
v1::ResumePoint read_point(const std::string& manifest);

class JobPromises {
 public:
  JobPromises(v1::CreateTrainingJobRequest request, std::uint64_t salt) : request_(std::move(request)), salt_(salt) {}

  // A fork of the job `parent_id`.
  JobPromises(v1::ForkTrainingJobRequest fork, std::uint64_t salt);

  const v1::CreateTrainingJobRequest& request() const { return request_; }
  // How it is asked for, where it is a fork.
  const std::optional<v1::ForkTrainingJobRequest>& fork() const { return fork_; }
  const std::string& name() const { return request_.spec().name(); }

  // The report of a step: another one in each attempt, so that lines cannot be mixed up without being seen.
  v1::ReportStepRequest report(const std::string& id, std::int64_t generation, std::int64_t step) const;

  // People have been answered.
  void created(const std::string& id) { id_ = id; }
  const std::optional<std::string>& id() const { return id_; }
  void cancelled() { is_cancelled_ = true; }
  void paused(std::int64_t generation) { paused_at_ = generation; }
  void asked_for_checkpoint(std::int64_t step) { asked_at_ = step; }
  void may_be_asked_for_evaluation() { ++most_evaluations_; }  // the call may not have arrived
  void asked_for_evaluation(std::int64_t step);
  // Rank 0 reports one, and has been answered.
  void may_be_evaluated(std::int64_t step);
  void evaluated(const EvaluationLine& line);
  // An attempt begins, and has been told after which steps to evaluate: what was asked for and never made is among
  // them.
  void check_due(const SimulatedWorld& world, const v1::ShardPlan& plan, const std::set<std::int64_t>& steps) const;
  void may_go_on() { paused_at_.reset(); }  // a resume may have arrived, or the pause has failed
  void may_be_deleted() { may_be_deleted_ = true; }
  void deleted() { is_deleted_ = true; }
  bool is_deleted() const { return is_deleted_; }

  // Rank 0 asks to train from here, and may not hear whether it does.
  void may_begin_at(std::int64_t step) { acknowledged_.erase(acknowledged_.lower_bound(step), acknowledged_.end()); }
  void begun(const SimulatedWorld& world, const v1::StartTrainingRequest& asked, const v1::ShardPlan& plan);
  void acknowledged(const SimulatedWorld& world, const v1::ReportStepRequest& report, std::vector<double> weight,
                    std::string settings);

  // An mpirun of a user's is an attempt from here on.
  void given(const SimulatedWorld& world, std::int64_t generation, int mpirun);

  // What its ranks have on their disk, in its output.
  void write_checkpoint(const std::string& output, const v1::ResumePoint& point);
  void remove_checkpoint(std::int64_t step, bool with_links) const;
  // Only the newest attempt that has begun has the output: false for others.
  bool write_evaluation(std::int64_t generation, EvaluationLine line);

  int changes_in_force() const;
  bool has_begun_as_fork() const { return fork_ && origin_; }

  // Cheap, after every event. `job` is the job as the coordinator shows it.
  void check_shown(const SimulatedWorld& world, const v1::TrainingJob& job);
  // Of a job that was shown, or that an answer has told.
  void check_settings(const SimulatedWorld& world, const v1::TrainingJob& job);
  void check_presence(const SimulatedWorld& world, const JobTable& table) const;
  // Everything that is on record of the job.
  void check_record(const SimulatedWorld& world, JobController& core, const v1::TrainingJob& job) const;

  std::vector<SimulatedCheckpoint> folder;  // whole checkpoints in the job's output, ascending steps
  std::vector<EvaluationLine> evaluations;  // in the job's output

 private:
  struct Acknowledged {
    std::int64_t generation = 0;
    std::vector<double> weight;
    std::string settings;  // that its ranks had in force
  };
  struct Shown {
    std::int64_t revision = 0;
    std::string content;
    std::string final_content;  // empty: not final
  };
  void check_origin(const SimulatedWorld& world, const v1::TrainingJob& job) const;
  void check_history(const SimulatedWorld& world, JobController& core, const v1::TrainingJob& job) const;
  void check_evaluations(const SimulatedWorld& world, const v1::TrainingJob& job) const;

  const v1::CreateTrainingJobRequest request_;
  const std::optional<v1::ForkTrainingJobRequest> fork_;
  const std::uint64_t salt_;
  std::map<std::int64_t, int> mpirun_of_;               // by generation, where users start its ranks
  std::string output_;                                  // where its ranks have written checkpoints
  std::optional<v1::WeightState> origin_;               // of another job's checkpoint, where it began with one
  std::map<std::int64_t, v1::SettingsChange> changes_;  // by version, as they were shown last
  std::optional<std::string> id_;
  bool is_cancelled_ = false, may_be_deleted_ = false, is_deleted_ = false;
  // Steps done when a checkpoint was asked for and that was acknowledged, or where an attempt went on since then.
  std::optional<std::int64_t> asked_at_;
  std::vector<std::int64_t> evaluations_asked_;  // steps done when they were, of those that were acknowledged
  std::set<std::int64_t> evaluations_open_, evaluations_made_;  // of these; after which steps ranks have made them
  std::size_t most_evaluations_ = 0;                            // with those that perhaps were not
  std::int64_t writer_ = 0;                                     // the attempt that has the output
  std::optional<std::int64_t> paused_at_;  // the generation that was the newest when the pause was acknowledged
  std::map<std::int64_t, Acknowledged> acknowledged_;  // steps of the line
  std::optional<v1::ShardPlan> plan_;
  Shown shown_;
};

}  // namespace equipoise::coordinator
