#include "worker/language_model/pair_places.h"

#include <algorithm>

#include "common/base/error.h"

namespace equipoise {

PairPlaces::PairPlaces(const EncodedPairs& pairs, const std::vector<FileReading>& files) : pairs_(pairs) {
  for (std::size_t i = 0; i < pairs.num_dropped(); ++i) {
    kept_before_drop_.push_back(pairs.dropped(i).position - static_cast<std::int64_t>(i));
  }
  std::int64_t rows = 0;
  for (const FileReading& file : files) {
    first_row_F_.push_back(rows);
    rows += static_cast<std::int64_t>(file.counts.pairs + file.counts.dropped);
  }
}

PairShare PairPlaces::place(std::int64_t pair) const {
  const auto dropped = std::ranges::upper_bound(kept_before_drop_, pair) - kept_before_drop_.begin();
  const std::int64_t row = pair + dropped;
  const auto file = std::ranges::upper_bound(first_row_F_, row) - first_row_F_.begin() - 1;
  return {.file = static_cast<std::uint32_t>(file),
          .row = row - first_row_F_[static_cast<std::size_t>(file)] + 1,
          .share = 0};
}

std::vector<GroupShares> PairPlaces::shares(std::span<const BatchLoss> losses, const GroupSums& sums) const {
  std::vector<GroupShares> groups(sums.group.size());
  std::vector<std::vector<PairShare>> shares(groups.size());
  for (const BatchLoss& place_of_batch : losses) {
    PairShare share = place(place_of_batch.pair);
    for (const Membership& membership : pairs_[static_cast<std::size_t>(place_of_batch.pair)].memberships) {
      const auto group = std::ranges::lower_bound(sums.group, membership.group);
      EQUIPOISE_CHECK(group != sums.group.end() && *group == membership.group);
      share.share = place_of_batch.weight * membership.weight * place_of_batch.loss;  // the bits that S_g has
      shares[static_cast<std::size_t>(group - sums.group.begin())].push_back(share);
    }
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].group = sums.group[i];
    groups[i].loss_sum = sums.loss_sum[i];
    groups[i].pair_count = sums.pair_count[i];
    set_shares(std::move(shares[i]), groups[i]);
  }
  return groups;
}

}  // namespace equipoise
