// The ranks of one attempt: who has registered, who is still heard of, who has finished and with which result.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/lifecycle/clock.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// A process that fills a rank. The same host and pid again is the same process repeating itself.
struct RankProcess {
  std::string host;
  std::int64_t pid = 0;  // 0: not known yet, as an earlier coordinator was told
  std::string device;
};

struct LeaseSettings {
  std::chrono::seconds lease{30};       // silence after which a rank is given up
  std::chrono::seconds exit_grace{10};  // silence after which a rank that was told to exit has left
  std::chrono::seconds rank_wait{30};   // without an answer, after which a rank ends itself

  // Silence after which a rank on a host that cannot be asked has ended.
  std::chrono::seconds until_ended() const { return std::max(lease, rank_wait) + exit_grace; }
};

struct SilentRank {
  int rank;
  std::string host;
};

// What a heartbeat tells of what its rank does.
struct RankReport {
  v1::RankPhase phase = v1::RANK_PHASE_UNSPECIFIED;
  std::int64_t step = 0;      // steps done
  std::int64_t progress = 0;  // another one than before: it has gone on
  std::string last_collective = {};
  bool is_in_collective = false;  // where it may wait for another rank
};

// How long a rank may stand still. One that is too short gives up ranks that work: what reports each micro-batch, file
// or tensor of little size has a short one, what may be a single read or write of a large file a long one.
struct PhaseDeadlines {
  std::chrono::seconds training{30};
  std::chrono::seconds computing{600};  // reference log-probs, evaluation
  std::chrono::seconds writing{1800};   // checkpoints, saving
  std::chrono::seconds reading{600};    // starting, reading data and model: a tensor, a piece of a file

  // nullopt: a rank that says nothing of what it does may stand still.
  std::optional<std::chrono::seconds> of(v1::RankPhase phase) const;
};

struct StalledRank {
  std::optional<int> rank;  // none: each waits in a collective for the others
  std::string host;
  RankReport report;  // of that rank, or of the first one
  std::chrono::seconds stalled_for{};
  std::chrono::seconds silent_for{};
};

// A rank that has registered, for people.
struct RankView {
  int rank;
  const RankProcess& process;
  const RankReport& report;
  std::chrono::steady_clock::duration silent_for, stalled_for;
};

struct RankCounts {
  int active = 0;  // registered, neither finished nor gone
  int finished = 0;
};

// Of the active ranks: how many are in each phase, and for how long they have not gone on, waiting in a collective or
// not.
struct RankActivity {
  std::array<int, v1::RankPhase_ARRAYSIZE> in_phase{};  // by v1::RankPhase
  std::chrono::steady_clock::duration median_lag{}, longest_lag{};
};

// Decides on the times passed in; keeps no clock. Not thread-safe. `rank` is in [0, world_size) everywhere.
class Membership {
 public:
  Membership(int world_size, LeaseSettings settings);

  int world_size() const { return world_size_; }
  bool has(int rank) const { return ranks_.contains(rank); }

  // False, and nothing changed, if another process holds the rank.
  bool add(int rank, const RankProcess& process, SteadyTime now);
  // Renews the lease of a rank that is registered.
  void renew_lease(int rank, SteadyTime now);
  // What a heartbeat says; the same progress in the same phase as before is none.
  void report(int rank, RankReport report, SteadyTime now);
  void set_told_to_exit(int rank);
  void set_left(int rank);  // the rank itself said that it ends
  // It said so once a checkpoint of all that it has done was whole.
  void set_left_with_checkpoint(int rank);
  bool has_left_with_checkpoint(int rank) const { return ranks_.at(rank).left_with_checkpoint; }
  bool all_have_left_with_checkpoint() const;

  enum class Finish { kAccepted, kRepeated, kDiffersFromItself, kDiffersFromOther };
  struct FinishResult {
    Finish outcome;
    int other_rank = 0;  // with kDiffersFromOther
  };
  // `digest` of the trained parameters. The first rank's is the one that counts.
  FinishResult finish(int rank, const std::string& digest, SteadyTime now);
  bool all_registered() const { return ranks_.size() == static_cast<std::size_t>(world_size_); }
  std::vector<int> missing() const;  // ranks that have not registered, ascending
  bool all_finished() const { return counts().finished == world_size_; }
  RankCounts counts() const;

  // The first rank that is silent for longer than its lease. Ranks that finished or left need not be heard.
  std::optional<SilentRank> first_silent(SteadyTime now) const;
  // The rank that stands still for longer than its phase may and for which the others wait, if they do: of those that
  // are not in a collective the one that has stood still for longest. Where all ranks are in collectives for longer
  // than they may, it is none of them.
  std::optional<StalledRank> first_stalled(SteadyTime now, const PhaseDeadlines& deadlines) const;
  // Of the rank that has stood still for longest, of those that are not in a collective; 0 where there is none.
  std::chrono::steady_clock::duration longest_stall(SteadyTime now) const;
  RankActivity activity(SteadyTime now) const;
  // Of a rank that is registered.
  RankView view(int rank, SteadyTime now) const;
  std::optional<int> next_rank(int first) const;  // the first registered one that is not below `first`
  // No rank can still be running: each has finished, left, or been silent for long enough.
  bool none_running(SteadyTime now) const;
  // Ranks that may still run as far as they have said: neither finished, nor left, nor told to exit.
  std::vector<SilentRank> unconfirmed() const;
  // Of the registered ranks those that have neither finished nor said that they end: their processes may be there yet.
  struct UnendedRank {
    int rank;
    RankProcess process;
    SteadyTime registered;
  };
  std::vector<UnendedRank> unended() const;
  // The coordinator itself did not run for `pause`: neither silence nor standing still counts against anybody.
  void renew_leases(std::chrono::steady_clock::duration pause);
  // Ranks are held until now: none stands still of itself.
  void renew_progress(SteadyTime now);

 private:
  struct Rank {
    RankProcess process;
    SteadyTime registered, last_heard, last_moved;
    RankReport report = {};
    bool told_to_exit = false;
    bool left = false;
    bool left_with_checkpoint = false;  // and `left`
    std::optional<std::string> digest;  // set: finished
  };
  bool is_active(const Rank& rank) const { return !rank.left && !rank.digest; }

  int world_size_;
  LeaseSettings settings_;
  std::map<int, Rank> ranks_;
};

}  // namespace equipoise::coordinator
