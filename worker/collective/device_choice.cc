#include "worker/collective/device_choice.h"

#include <map>
#include <set>
#include <stdexcept>

#include "worker/collective/broadcast.h"

namespace equipoise {
namespace {

constexpr char kSeparator = '\n';  // between UUIDs on their way

// A matching of ranks and GPUs, one rank after the other: a GPU that is taken is given up by its rank if that finds
// another one.
class Matching {
 public:
  explicit Matching(std::span<const VisibleDevices> seen_L) : seen_L_(seen_L), number_L_(seen_L.size()) {}

  bool add(std::size_t rank) {
    asked_.clear();
    return find(rank);
  }
  const std::vector<std::size_t>& numbers() const { return number_L_; }

 private:
  bool find(std::size_t rank) {
    const VisibleDevices& seen = seen_L_[rank];
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const std::size_t number = (rank + i) % seen.size();
      if (!asked_.insert(seen[number]).second) continue;
      const auto taken = rank_of_.find(seen[number]);
      if (taken != rank_of_.end() && !find(taken->second)) continue;
      rank_of_[seen[number]] = rank;
      number_L_[rank] = number;
      return true;
    }
    return false;
  }

  std::span<const VisibleDevices> seen_L_;
  std::vector<std::size_t> number_L_;
  std::map<std::string, std::size_t> rank_of_;
  std::set<std::string> asked_;
};

std::string counted(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

std::vector<std::size_t> choose_devices(std::span<const VisibleDevices> seen_L) {
  std::set<std::string> distinct;
  for (std::size_t rank = 0; rank < seen_L.size(); ++rank) {
    if (seen_L[rank].empty()) {
      throw std::invalid_argument("local rank " + std::to_string(rank) +
                                  " sees no GPU: give one to each rank, or set EQUIPOISE_DEVICE=cpu for all of them");
    }
    distinct.insert(seen_L[rank].begin(), seen_L[rank].end());
  }
  Matching matching(seen_L);
  for (std::size_t rank = 0; rank < seen_L.size(); ++rank) {
    if (matching.add(rank)) continue;
    throw std::invalid_argument("the " + counted(seen_L.size(), "rank") + " of this host see " +
                                counted(distinct.size(), "GPU") +
                                " and cannot have one each: start one rank per GPU, or set EQUIPOISE_DEVICE=cpu");
  }
  return matching.numbers();
}

std::vector<VisibleDevices> gathered_devices(const VisibleDevices& mine, HostCollective& local) {
  std::vector<VisibleDevices> seen_L;
  const RankInfo info = local.info();
  for (int rank = 0; rank < info.world_size; ++rank) {
    std::string text;
    if (rank == info.rank) {
      for (const std::string& uuid : mine) text += uuid + kSeparator;
    }
    broadcast_text(text, rank, local);
    VisibleDevices devices;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find(kSeparator, begin);
      devices.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    seen_L.push_back(std::move(devices));
  }
  return seen_L;
}

}  // namespace equipoise
