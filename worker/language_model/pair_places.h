// Where in its job's files a training pair stands, and what the pairs of a step add to each group's loss sum.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/robust/pair_shares.h"
#include "worker/data/data_report.h"
#include "worker/data/encoded_pairs.h"
#include "worker/language_model/step.h"

namespace equipoise {

class PairPlaces {
 public:
  //   pairs  of all files, one after the other; outlives it
  //   files  how each was read, in this order
  PairPlaces(const EncodedPairs& pairs, const std::vector<FileReading>& files);

  // Of a pair at this position, without its share.
  PairShare place(std::int64_t pair) const;
  // The groups of `sums`, without step and alpha: the pairs' v_i m[i,g] l_i.
  std::vector<GroupShares> shares(std::span<const BatchLoss> losses, const GroupSums& sums) const;

 private:
  const EncodedPairs& pairs_;
  std::vector<std::int64_t> kept_before_drop_;  // of each pair that is left out: kept pairs before it
  std::vector<std::int64_t> first_row_F_;       // of each file among all rows
};

}  // namespace equipoise
