// The ranks of one attempt as the coordinator sees them: small state machines that keep to the worker's protocol, and
// the mpirun around them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job/refusal.h"
#include "coordinator/launch/launcher.h"
#include "tests/coordinator/simulation/job_promises.h"
#include "tests/coordinator/simulation/simulated_world.h"

namespace equipoise::coordinator {

class SimulatedGang {
 public:
  // Both outlive it.
  SimulatedGang(SimulatedWorld& world, JobPromises& job, LaunchRequest launch);

  const AttemptKey& key() const { return launch_.attempt; }
  const std::vector<HostSlots>& hosts() const { return launch_.hosts; }
  bool is_running() const;  // a rank is, or is stopped

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
  void report(JobController& core);
  void make_checkpoint(JobController& core);
  void finish_next(JobController& core);
  void leave_next(JobController& core);
  void heartbeat(JobController& core, std::size_t rank);
  void handle(const Refusal& refusal, bool may_be_early);
  bool has_checkpoint_here() const;

  SimulatedWorld& world_;
  JobPromises& job_;
  const LaunchRequest launch_;
  std::vector<Rank> ranks_;
  std::optional<v1::StartTrainingRequest> start_;
  std::optional<v1::ShardPlan> plan_;  // once training has begun
  std::int64_t step_ = 0;              // steps done
  std::int64_t committed_ = -1;        // the newest checkpoint that was acknowledged
  std::vector<std::int64_t> removed_;  // checkpoints of which the coordinator has not been told that they are gone
  std::int64_t checkpoint_requests_ = 0;
  bool wants_checkpoint_ = false, must_leave_ = false, has_lost_contact_ = false;
  std::string pause_failure_;
  std::int64_t report_salt_ = 0;  // planted: reports that change
  std::optional<SteadyTime> ends_at_;
  int exit_code_ = 0;
};

}  // namespace equipoise::coordinator
