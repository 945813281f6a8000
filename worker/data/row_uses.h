// Rows of a tensor in another order, some of them several times: how packed rows become padded ones and back.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace equipoise {

// Place n of N holds row row_N[n] of a tensor with num_rows rows. Undefined row_N: every row at its own place.
struct RowUses {
  // Rows whose gradient comes from these places; each row at most once, so that sums are made in one order on any
  // device. The first round names all rows that are used, ascending.
  struct Round {
    torch::Tensor row_R, place_R;  // [R] int64
  };
  torch::Tensor row_N;  // [N] int64
  std::int64_t num_rows = 0;
  std::vector<Round> rounds;
};

// Names the row of one place after the other.
class RowUsesBuilder {
 public:
  void use(std::int64_t first_row, std::int64_t count = 1);
  // Places that nobody looks at: they hold a row, finite where the others are, and no gradient comes from them.
  void pad(std::int64_t row, std::int64_t count);

  std::int64_t num_places() const { return static_cast<std::int64_t>(row_.size()); }
  RowUses build(std::int64_t num_rows) const;  // on the CPU

 private:
  std::vector<std::int64_t> row_;    // of each place
  std::vector<std::int64_t> place_;  // those that are used, ascending
};

}  // namespace equipoise
