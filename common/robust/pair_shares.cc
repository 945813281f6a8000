#include "common/robust/pair_shares.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <tuple>

namespace equipoise {
namespace {

// NaN has no order, its bits have one.
bool is_before(const PairShare& a, const PairShare& b) {
  return std::tuple(a.file, a.row, std::bit_cast<std::uint64_t>(a.share)) <
         std::tuple(b.file, b.row, std::bit_cast<std::uint64_t>(b.share));
}

// A strict order also with NaN: what is not finite counts as infinite.
bool is_larger(const PairShare& a, const PairShare& b) {
  const auto size = [](const PairShare& pair) { return std::isfinite(pair.share) ? std::abs(pair.share) : INFINITY; };
  const double size_a = size(a), size_b = size(b);
  return size_a != size_b ? size_a > size_b : std::tie(a.file, a.row) < std::tie(b.file, b.row);
}

}  // namespace

void set_shares(std::vector<PairShare> shares, GroupShares& group) {
  group.pairs = std::ssize(shares);
  const std::size_t top = std::min(kTopPairs, shares.size());
  const auto end = shares.begin() + static_cast<std::ptrdiff_t>(top);
  std::ranges::partial_sort(shares, end, is_larger);
  group.top.assign(shares.begin(), end);
  std::sort(end, shares.end(), is_before);
  group.rest = 0;
  for (auto pair = end; pair != shares.end(); ++pair) group.rest += pair->share;
}

}  // namespace equipoise
