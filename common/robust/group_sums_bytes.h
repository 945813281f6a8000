// The sums of a step as the coordinator's database and a run's ledger keep them: every number bit by bit, some 10 bytes
// for each group of the batch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/robust/estimator.h"

namespace equipoise {

// Groups of 7 bits, lowest first, the top bit set in all but the last byte.
void add_varint(std::string& bytes, std::uint64_t value);
// Takes one from the beginning of `bytes`; nothing where none is whole there.
std::optional<std::uint64_t> take_varint(std::string_view& bytes);

// As GroupSums, and the groups whose loss was not finite.
struct GroupSumsView {
  std::span<const std::uint32_t> group;
  std::span<const double> loss_sum;        // S_g
  std::span<const double> pair_count;      // n_g
  double batch_pairs = 0;                  // |B|
  std::span<const std::uint32_t> skipped;  // ascending
};

struct StoredGroupSums {
  GroupSums sums;
  std::vector<std::uint32_t> skipped;
};

//   number of groups, then of each: id less the one before less 1 (the first: id), n_g, S_g
//   |B|, number of skipped groups, then of each its id, in the same way
//
// Ids and numbers of groups are varints. n_g and |B| are n + 1 as a varint where they are a whole number n from 0 to
// 2^52 - 1, else 0 and float64. S_g is float64. Float64 is little-endian.
void add_group_sums(std::string& bytes, const GroupSumsView& sums);

// Throws std::invalid_argument "FIELD ..." where `bytes` are not those of just one.
StoredGroupSums stored_group_sums(std::string_view bytes);

}  // namespace equipoise
