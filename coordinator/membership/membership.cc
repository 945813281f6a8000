#include "coordinator/membership/membership.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "common/base/error.h"

namespace equipoise::coordinator {

Membership::Membership(int world_size, LeaseSettings settings) : world_size_(world_size), settings_(settings) {
  EQUIPOISE_CHECK(world_size >= 1);
}

bool Membership::add(int rank, const RankProcess& process, SteadyTime now) {
  EQUIPOISE_CHECK(rank >= 0 && rank < world_size_);
  const auto known = ranks_.find(rank);
  if (known == ranks_.end()) {
    ranks_.emplace(
        rank,
        Rank{.process = process, .registered = now, .last_heard = now, .last_moved = now, .digest = std::nullopt});
    return true;
  }
  if (known->second.process.pid == 0) known->second.process = process;
  if (known->second.process.host != process.host || known->second.process.pid != process.pid) return false;
  known->second.last_heard = now;
  return true;
}

void Membership::renew_lease(int rank, SteadyTime now) { ranks_.at(rank).last_heard = now; }

void Membership::report(int rank, RankReport report, SteadyTime now) {
  Rank& self = ranks_.at(rank);
  const bool has_moved = report.progress != self.report.progress || report.phase != self.report.phase;
  if (has_moved) self.last_moved = now;
  self.report = std::move(report);
}

void Membership::set_told_to_exit(int rank) { ranks_.at(rank).told_to_exit = true; }

void Membership::set_left(int rank) { ranks_.at(rank).left = true; }

void Membership::set_left_with_checkpoint(int rank) {
  Rank& self = ranks_.at(rank);
  self.left = self.left_with_checkpoint = true;
}

bool Membership::all_have_left_with_checkpoint() const {
  return all_registered() &&
         std::ranges::all_of(ranks_, [](const auto& entry) { return entry.second.left_with_checkpoint; });
}

Membership::FinishResult Membership::finish(int rank, const std::string& digest, SteadyTime now) {
  Rank& self = ranks_.at(rank);
  self.last_heard = now;
  if (self.digest) return {.outcome = *self.digest == digest ? Finish::kRepeated : Finish::kDiffersFromItself};
  for (const auto& [other_rank, other] : ranks_) {
    if (other.digest && *other.digest != digest) {
      return {.outcome = Finish::kDiffersFromOther, .other_rank = other_rank};
    }
  }
  self.digest = digest;
  return {.outcome = Finish::kAccepted};
}

RankCounts Membership::counts() const {
  RankCounts counts;
  for (const auto& [number, rank] : ranks_) {
    if (rank.digest) ++counts.finished;
    if (is_active(rank)) ++counts.active;
  }
  return counts;
}

std::optional<SilentRank> Membership::first_silent(SteadyTime now) const {
  for (const auto& [number, rank] : ranks_) {
    if (is_active(rank) && now - rank.last_heard > settings_.lease) {
      return SilentRank{.rank = number, .host = rank.process.host};
    }
  }
  return std::nullopt;
}

std::optional<std::chrono::seconds> PhaseDeadlines::of(v1::RankPhase phase) const {
  switch (phase) {
    case v1::RANK_PHASE_TRAINING:
      return training;
    case v1::RANK_PHASE_REFERENCE_LOG_PROBS:
    case v1::RANK_PHASE_EVALUATING:
      return computing;
    case v1::RANK_PHASE_STARTING:
    case v1::RANK_PHASE_READING_DATA:
    case v1::RANK_PHASE_LOADING_MODEL:
      return reading;
    case v1::RANK_PHASE_SAVING:
    case v1::RANK_PHASE_CHECKPOINT:
      return writing;
    default:
      return std::nullopt;
  }
}

namespace {

constexpr std::chrono::seconds kUsualSilence{4};  // two heartbeats

}  // namespace

std::optional<StalledRank> Membership::first_stalled(SteadyTime now, const PhaseDeadlines& deadlines) const {
  const Rank *stalled = nullptr, *first = nullptr;
  int stalled_number = 0;
  bool all_wait = all_registered();
  for (const auto& [number, rank] : ranks_) {
    if (!is_active(rank)) continue;
    const auto deadline = deadlines.of(rank.report.phase);
    const bool is_overdue = deadline && now - rank.last_moved > *deadline;
    const auto silence = now - rank.last_heard;
    all_wait = all_wait && is_overdue && rank.report.is_in_collective && silence <= kUsualSilence;
    if (first == nullptr) first = &rank;
    // What a silent rank said of itself last was before it fell silent.
    const bool is_at_fault = is_overdue && (!rank.report.is_in_collective || silence > *deadline);
    if (!is_at_fault || (stalled != nullptr && stalled->last_moved <= rank.last_moved)) continue;
    stalled = &rank;
    stalled_number = number;
  }
  if (stalled == nullptr && (!all_wait || first == nullptr)) return std::nullopt;
  const Rank& told = stalled != nullptr ? *stalled : *first;
  const auto seconds_since = [now](SteadyTime time) {
    return std::chrono::duration_cast<std::chrono::seconds>(now - time);
  };
  return StalledRank{.rank = stalled != nullptr ? std::optional(stalled_number) : std::nullopt,
                     .host = stalled != nullptr ? told.process.host : "",
                     .report = told.report,
                     .stalled_for = seconds_since(told.last_moved),
                     .silent_for = seconds_since(told.last_heard)};
}

std::chrono::steady_clock::duration Membership::longest_stall(SteadyTime now) const {
  auto longest = std::chrono::steady_clock::duration::zero();
  for (const auto& [number, rank] : ranks_) {
    if (is_active(rank) && !rank.report.is_in_collective) longest = std::max(longest, now - rank.last_moved);
  }
  return longest;
}

RankActivity Membership::activity(SteadyTime now) const {
  RankActivity activity;
  std::vector<std::chrono::steady_clock::duration> lags;
  for (const auto& [number, rank] : ranks_) {
    if (!is_active(rank)) continue;
    ++activity.in_phase[static_cast<std::size_t>(rank.report.phase)];
    lags.push_back(now - rank.last_moved);
  }
  if (lags.empty()) return activity;
  const auto middle = lags.begin() + static_cast<std::ptrdiff_t>(lags.size() / 2);
  std::ranges::nth_element(lags, middle);
  activity.median_lag = *middle;
  activity.longest_lag = *std::max_element(middle, lags.end());
  return activity;
}

RankView Membership::view(int rank, SteadyTime now) const {
  const Rank& self = ranks_.at(rank);
  return {.rank = rank,
          .process = self.process,
          .report = self.report,
          .silent_for = now - self.last_heard,
          .stalled_for = now - self.last_moved};
}

std::optional<int> Membership::next_rank(int first) const {
  const auto rank = ranks_.lower_bound(first);
  return rank == ranks_.end() ? std::nullopt : std::optional(rank->first);
}

std::vector<int> Membership::missing() const {
  std::vector<int> missing;
  for (int rank = 0; rank < world_size_; ++rank) {
    if (!has(rank)) missing.push_back(rank);
  }
  return missing;
}

std::vector<SilentRank> Membership::unconfirmed() const {
  std::vector<SilentRank> ranks;
  for (const auto& [number, rank] : ranks_) {
    if (is_active(rank) && !rank.told_to_exit) ranks.push_back({.rank = number, .host = rank.process.host});
  }
  return ranks;
}

std::vector<Membership::UnendedRank> Membership::unended() const {
  std::vector<UnendedRank> ranks;
  for (const auto& [number, rank] : ranks_) {
    if (is_active(rank)) ranks.push_back({.rank = number, .process = rank.process, .registered = rank.registered});
  }
  return ranks;
}

bool Membership::none_running(SteadyTime now) const {
  return std::all_of(ranks_.begin(), ranks_.end(), [&](const auto& entry) {
    const Rank& rank = entry.second;
    const auto patience = rank.told_to_exit ? std::min(settings_.exit_grace, settings_.lease)
                                            : std::max(settings_.lease, settings_.rank_wait);
    return !is_active(rank) || now - rank.last_heard > patience;
  });
}

void Membership::renew_leases(std::chrono::steady_clock::duration pause) {
  for (auto& [number, rank] : ranks_) {
    rank.last_heard += pause;
    rank.last_moved += pause;
  }
}

void Membership::renew_progress(SteadyTime now) {
  for (auto& [number, rank] : ranks_) rank.last_moved = now;
}

}  // namespace equipoise::coordinator
