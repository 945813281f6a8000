// The ranks of one attempt as the coordinator sees them: small state machines that keep to the worker's protocol, and
// the mpirun around them.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/protocol/live_settings.h"
#include "coordinator/job/refusal.h"
#include "coordinator/launch/launcher.h"
#include "tests/coordinator/simulation/job_promises.h"
#include "tests/coordinator/simulation/simulated_world.h"

namespace equipoise::coordinator {

class SimulatedGang {
 public:
  // Both outlive it.
  SimulatedGang(SimulatedWorld& world, JobPromises& job, LaunchRequest launch);
  // Of an mpirun of a user's, the one with this number: its generation is 0 until rank 0 has been told.
  SimulatedGang(SimulatedWorld& world, JobPromises& job, int workers, int number);

  const AttemptKey& key() const { return launch_.attempt; }
  const std::vector<HostSlots>& hosts() const { return launch_.hosts; }
  bool is_of_user() const { return number_.has_value(); }
  bool is_running() const;  // a rank is, or is stopped
  bool is_whole() const;    // and every rank has registered, and none has ended or is about to

  // The next thing that its ranks do, if they can.
  void act(JobController& core);
  // Every rank that is there, every 2 s.
  void heartbeat(JobController& core);
  // Time has passed: what is due to end ends.
  void pass();

  // What befalls it. Ranks that are left end soon, as mpirun or their collectives see to it.
  void lose_rank();
  void fail_rank(JobController& core);
  void stop_rank(std::chrono::seconds duration);
  // Its ranks wait for another one, and end where none comes in time.
  void lose_coordinator() { alone_since_ = world_.clock.now(); }
  void find_coordinator() { alone_since_.reset(); }
  void ask_to_leave() { must_leave_ = true; }  // SIGTERM to one of its ranks: all leave with a checkpoint
  void end_within(std::chrono::seconds grace, int exit_code);
  void end_now(int exit_code);
  // mpirun is gone with a host that could not be reached, and so the ranks are nobody's: they end by themselves.
  void lose_contact() { has_lost_contact_ = true; }
  void live_on(std::chrono::seconds duration) { ends_at_ = world_.clock.now() + duration; }
  bool is_ending() const { return ends_at_.has_value(); }
  bool has_lost_contact() const { return has_lost_contact_; }

  // As mpirun exits: 0 where all ranks have ended in order.
  int exit_code() const { return exit_code_; }

 private:
  enum class State { kStarting, kReady, kFinished, kLeft, kEnded };
  struct Rank {
    State state = State::kStarting;
    SteadyTime stopped_until{};
  };
  bool is_stopped(const Rank& rank) const { return world_.clock.now() < rank.stopped_until; }
  bool is_alive(const Rank& rank) const { return rank.state == State::kStarting || rank.state == State::kReady; }
  std::string text(std::size_t rank, const std::string& what) const;
  void check_token(JobController& core) const;
  template <typename Call>
  auto send(JobController& core, std::size_t rank, const std::string& what, const Call& call);

  void go_on(JobController& core);
  bool register_next(JobController& core);
  void start(JobController& core);
  v1::ResumePoint start_of_fork() const;
  void apply_settings(JobController& core);
  std::string settings_of(std::int64_t step) const;
  void report(JobController& core);
  void make_checkpoint(JobController& core);
  bool is_planned_evaluation(std::int64_t step) const;
  void decide_on_evaluation();
  void evaluate(JobController& core);
  std::int64_t steps_before_evaluation() const;
  void finish_next(JobController& core);
  void leave_next(JobController& core);
  void heartbeat(JobController& core, std::size_t rank);
  void handle(const Refusal& refusal, bool may_be_early);
  bool has_checkpoint_here() const;
  v1::RegisterWorkerRequest registration(std::size_t rank) const;
  void be_given(std::int64_t generation);
  void write_checkpoint(v1::WeightState weights);

  SimulatedWorld& world_;
  JobPromises& job_;
  LaunchRequest launch_;
  const std::optional<int> number_;       // of a user's mpirun
  const std::chrono::seconds rank_wait_;  // for a coordinator
  std::vector<Rank> ranks_;
  std::optional<v1::StartTrainingRequest> start_;
  std::optional<v1::ShardPlan> plan_;  // once training has begun
  v1::JobSpec spec_;                   // as rank 0 was told
  SettingsChanges changes_;            // that have taken effect, as far as its ranks know
  std::int64_t settings_version_ = 0;  // that a heartbeat's answer told
  std::int64_t step_ = 0;              // steps done
  std::int64_t reported_until_ = 0;    // steps that were reported, answered or not
  std::int64_t committed_ = -1;        // the newest checkpoint that was acknowledged
  std::vector<std::int64_t> removed_;  // checkpoints of which the coordinator has not been told that they are gone
  std::int64_t checkpoint_requests_ = 0;
  std::int64_t evaluation_requests_ = 0;
  std::set<std::int64_t> asked_evaluations_;  // after which steps, as StartTraining has answered
  std::int64_t decided_at_ = -1;              // the newest step after which it was decided whether to evaluate
  std::optional<EvaluationLine> evaluation_;  // that is to be made now
  bool is_written_ = false;                   // its line
  bool wants_checkpoint_ = false, wants_evaluation_ = false, must_leave_ = false, has_lost_contact_ = false;
  std::string pause_failure_;
  std::int64_t report_salt_ = 0;  // planted: reports that change
  std::optional<SteadyTime> ends_at_, alone_since_;
  int exit_code_ = 0;
};

}  // namespace equipoise::coordinator
