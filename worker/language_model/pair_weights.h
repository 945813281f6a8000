// v_i: what each pair of a data set counts for, from the field "weight" of its rows.
//
// Weights have no unit: they are divided by their mean, so that N = sum_i v_i is the number of pairs, all losses keep
// their scale and |B| counts pairs. Then L_g = sum_i v_i m[i,g] l_i / N_g with N_g = sum_i v_i m[i,g].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/data/encoded_pairs.h"

namespace equipoise {

struct PairWeights {
  std::vector<double> weight_N;  // empty: all are 1
  std::vector<double> factor_P;  // of each part, 1 over the mean of its weights as they are in the data
};

// Divided by the mean of the part that a pair is in. `pairs_P` are the sizes of the parts, which follow each other and
// are all pairs.
PairWeights pair_weights(const EncodedPairs& pairs, std::span<const std::int64_t> pairs_P);

}  // namespace equipoise
