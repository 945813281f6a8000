// Training files mixed by weights: each has its share of every batch, and what is trained on is the mixture itself.
//
// The files follow each other in the data, file f with N_f of the N pairs. P_f is the uniform distribution over its
// pairs; the training distribution is P = sum_f q_f P_f. Batches are those of stratified_order.h with the files as
// strata and q as their shares, but every pair weighs 1: file f has B_f of the B places, E[B_f] = B q_f, and a place of
// f is any of its pairs, so that for every function f_i of a pair
//
//   E[1/B sum_{i in batch} f_i] = sum_f q_f 1/N_f sum_{i in f} f_i = E_P[f]
//
// Estimators, importance weights and the adjustment ask for group sizes. Those of the mixture are what each group would
// have among N pairs drawn from P, u_f = N q_f / N_f of each pair of file f:
//
//   N_g = N E_P[m[.,g]] = sum_f u_f N_{f,g},   N_{f,g} = sum_{i in f} m[i,g]
//
// With q_f = N_f / N they are those of the data, u_f = 1.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/dataset/strata.h"

namespace equipoise {

class FileMixture {
 public:
  // pairs_F   [F]  N_f > 0
  // weight_F  [F]  > 0; q_f is the part of their sum
  // Throws std::invalid_argument for a file without a pair, by its position.
  FileMixture(std::vector<std::int64_t> pairs_F, std::span<const double> weight_F);

  const std::vector<std::int64_t>& pairs_F() const { return pairs_F_; }
  const std::vector<double>& share_F() const { return share_F_; }  // q_f
  // u_f: how often a pair of the file is among N pairs drawn from P.
  double multiplicity(std::size_t file) const;
  // N_g of the mixture: [K].
  //   count_FK  [F][K]  N_{f,g}; a file that knows fewer groups than the last one has none of them
  std::vector<double> group_sizes(std::span<const std::vector<double>> count_FK) const;
  // Each pair's file as its stratum.
  Strata strata() const;

 private:
  std::vector<std::int64_t> pairs_F_;
  std::vector<double> share_F_;
};

}  // namespace equipoise
