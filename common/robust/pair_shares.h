// Which pairs a group's loss sum S_g of a step came from: those with the largest shares of it, and the others as one
// number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace equipoise {

// Of a group and step that are named; the others are one number.
inline constexpr std::size_t kTopPairs = 8;

// What a pair adds to S_g: v_i m[i,g] l_i.
struct PairShare {
  std::uint32_t file = 0;  // of the training files, from 0
  std::int64_t row = 0;    // of the file, from 1, left-out pairs counted
  double share = 0;
};

// One group in one step.
struct GroupShares {
  std::uint32_t group = 0;
  std::int64_t step = 0;            // steps done with it, from 1, as in metrics.jsonl
  double loss_sum = 0;              // S_g, as it was summed over the ranks; not finite: the step moved no weight
  double pair_count = 0;            // n_g > 0
  double alpha_before = 0;          // of the step
  double alpha_after = 0;           // of the step
  std::int64_t pairs = 0;           // of the group in the batch: a pair that is in it twice counts twice
  std::vector<PairShare> top = {};  // at most kTopPairs: not finite first, then the largest by size, then by place
  double rest = 0;                  // sum of the other pairs' shares
};

// top, rest and pairs of the shares of all pairs of a group in a batch, in any order. rest is summed by place, so that
// it does not depend on that order.
void set_shares(std::vector<PairShare> shares, GroupShares& group);

}  // namespace equipoise
