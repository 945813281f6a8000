// A step as the ledger keeps it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/robust/group_sums_bytes.h"

namespace equipoise {

// What rank 0 has reported of one step, and the weights that came of it.
struct LedgerStep {
  std::int64_t step = 0;  // steps done before it
  std::span<const std::uint32_t> group;
  std::span<const double> loss_sum;        // S_g
  std::span<const double> pair_count;      // n_g
  double batch_pairs = 0;                  // |B|
  std::span<const std::uint32_t> skipped;  // groups that were not finite
  std::span<const double> weight;          // w_g as answered; the ledger keeps a digest of them
};

struct StoredStep {
  std::int64_t step = 0;
  GroupSums sums;
  std::vector<std::uint32_t> skipped;
};

// The step as a varint, then its sums (add_group_sums).
void add_step_bytes(std::string& bytes, const LedgerStep& step);

// Throws std::invalid_argument "FIELD ...".
StoredStep step_of_bytes(std::string_view bytes);

}  // namespace equipoise
