// Batches in which every stratum has its share, and what each pair must weigh for the sums to stay unbiased.
//
// Stratum h has N_h of the N pairs. Its places in the batches are filled from an order of its
// own, permutation(seed, h, pass), one pass after the other: all of its pairs once before any comes again. Batch and
// order follow from seed and step alone.
//
// Horvitz-Thompson: a pair of stratum h is in a batch with B_h places of it as often as B_h / N_h says, so it weighs
//
//   v_h = (N_h / N) / (B_h / B)        where B q_h >= 1
//   v_h = (N_h / N) / q_h              where it is less: the stratum is absent from some batches, and the weight when
//   it
//                                      is there makes up for that
//
// and E[1/B sum_{i in batch} v_i f_i] = 1/N sum_{i in data} f_i for every f. With B q_h >= 1 for all strata the weights
// of a batch add up to B. Without the seed's shuffle (data.shuffle: false) nothing is random, and that holds over a
// stratum's pass only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "common/base/split_mix64.h"
#include "common/dataset/strata.h"

namespace equipoise {

// Fisher-Yates of our own, so that every standard library gives the same order.
template <class Value>
void seeded_shuffle(std::vector<Value>& values, SplitMix64 random) {
  for (std::size_t end = values.size(); end > 1; --end) std::swap(values[end - 1], values[random.below(end)]);
}

// How many of the B places of each batch every stratum has, so that its share is kept exactly over time.
//
// Systematic sampling: the strata lie side by side on the line [0, B), stratum h on a piece of length B q_h, and batch
// t has a place wherever one of the points u_t, u_t + 1, ..., u_t + B - 1 falls. So
//   - every batch has B places,
//   - stratum h has floor(B q_h) or ceil(B q_h) of them, never none where B q_h >= 1,
//   - the expectation over the seed is B q_h in every batch, as each u_t is uniform in [0, 1),
//   - after t batches its places are B q_h t to less than one for each binary digit of t (after 2^j: to less than one),
//     as u_0, u_1, ... is the van der Corput sequence, which spreads over [0, 1) at every scale.
// Places of all batches before t are counted in O(log t), so that a run continues anywhere.
class BatchApportionment {
 public:
  // share_H     [H]  q_h > 0, of which the sum is what is shared
  // batch_size  B in [1, 2^31)
  // Throws std::invalid_argument for a share that is less than one place in 2^32 batches.
  BatchApportionment(std::span<const double> share_H, std::int64_t batch_size, std::uint64_t seed);

  // Places of each stratum in batch `step` >= 0: adds up to B. Into places_H, of length H.
  void write_places(std::int64_t step, std::span<std::int64_t> places_H) const;
  // The same over all batches in [0, step).
  void write_places_before(std::int64_t step, std::span<std::int64_t> places_H) const;
  // B q_h.
  double expected_places(std::size_t stratum) const;

 private:
  std::uint64_t start(std::int64_t step) const;                             // u_t
  std::int64_t starts_below(std::int64_t step, std::uint64_t bound) const;  // of u_0 .. u_(step - 1)

  std::vector<std::uint64_t> end_H_;  // right ends of the pieces, in units of 2^-32
  std::uint32_t flip_;                // digits of u_t that the seed turns over
};

struct StratifiedSettings {
  std::int64_t batch_size = 0;  // B in [1, 2^31)
  std::uint64_t seed = 0;
  bool shuffle = true;  // false: the order of the data, in every pass
};

class StratifiedOrder {
 public:
  // Throws std::invalid_argument as BatchApportionment.
  StratifiedOrder(const Strata& strata, StratifiedSettings settings);

  // Draws batch `step` >= 0; any step after any other. Strata are mixed, so that each part of a batch has some of each.
  // A stratum with more places than pairs has pairs in it several times.
  void draw(std::int64_t step);
  const std::vector<std::int64_t>& batch() const { return batch_; }
  // v of a pair, or of every pair of a group's stratum, in the batch drawn last; 0 for a stratum that is absent from
  // it.
  double pair_weight(std::int64_t pair) const { return group_weight(stratum_N_[static_cast<std::size_t>(pair)]); }
  double group_weight(std::uint32_t group) const { return weight_K_[group]; }

 private:
  struct Stratum {
    std::uint32_t group = 0;
    std::vector<std::int64_t> pairs;  // ascending
    std::vector<std::int64_t> order;  // of the pass
    std::int64_t pass = -1;
  };

  void draw_from(Stratum& stratum, std::int64_t first, std::int64_t places);
  double weight(std::size_t h) const;

  StratifiedSettings settings_;
  std::vector<std::uint32_t> stratum_N_;
  std::vector<Stratum> strata_H_;
  BatchApportionment apportionment_;
  std::vector<std::int64_t> places_before_H_, places_H_;
  std::vector<std::int64_t> batch_;
  std::vector<double> weight_K_;
};

}  // namespace equipoise
