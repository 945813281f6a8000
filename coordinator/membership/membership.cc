#include "coordinator/membership/membership.h"

#include <algorithm>

#include "common/base/error.h"

namespace equipoise::coordinator {

Membership::Membership(int world_size, LeaseSettings settings) : world_size_(world_size), settings_(settings) {
  EQUIPOISE_CHECK(world_size >= 1);
}

bool Membership::add(int rank, const RankProcess& process, SteadyTime now) {
  EQUIPOISE_CHECK(rank >= 0 && rank < world_size_);
  const auto known = ranks_.find(rank);
  if (known == ranks_.end()) {
    ranks_.emplace(rank, Rank{.process = process, .last_heard = now, .digest = std::nullopt});
    return true;
  }
  if (known->second.process.pid == 0) known->second.process = process;
  if (known->second.process.host != process.host || known->second.process.pid != process.pid) return false;
  known->second.last_heard = now;
  return true;
}

void Membership::renew_lease(int rank, SteadyTime now) { ranks_.at(rank).last_heard = now; }

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

bool Membership::none_running(SteadyTime now) const {
  return std::all_of(ranks_.begin(), ranks_.end(), [&](const auto& entry) {
    const Rank& rank = entry.second;
    const auto patience = rank.told_to_exit ? std::min(settings_.exit_grace, settings_.lease)
                                            : std::max(settings_.lease, settings_.rank_wait);
    return !is_active(rank) || now - rank.last_heard > patience;
  });
}

void Membership::renew_leases(std::chrono::steady_clock::duration pause) {
  for (auto& [number, rank] : ranks_) rank.last_heard += pause;
}

}  // namespace equipoise::coordinator
