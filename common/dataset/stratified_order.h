// Batches in which every stratum has its share, and what each pair must weigh for the sums to stay unbiased.
//
// Stratum h has N_h of the N pairs. Its places in the batches (batch_apportionment.h) are filled from an order of its
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

#include <cstdint>
#include <vector>

#include "common/dataset/batch_apportionment.h"
#include "common/dataset/strata.h"

namespace equipoise {

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
