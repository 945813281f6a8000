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
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace equipoise {

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

}  // namespace equipoise
