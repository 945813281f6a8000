#include "common/log_linear/pair_matrix.h"

#include "common/base/error.h"

namespace equipoise::log_linear {

std::vector<double> PairMatrix::group_counts() const {
  std::vector<double> count_K(groups, 0.0);
  for (const std::uint32_t group : group_N) count_K[group] += 1;
  return count_K;
}

PairMatrix make_pair_matrix(const Problem& problem, std::span<const Preference> preferences) {
  PairMatrix matrix;
  matrix.groups = problem.groups();
  matrix.dim = problem.features_dim();
  matrix.x_ND.reserve(preferences.size() * matrix.dim);
  matrix.group_N.reserve(preferences.size());
  std::vector<double> chosen_D(matrix.dim);
  std::vector<double> rejected_D(matrix.dim);
  for (const Preference& pair : preferences) {
    write_features(problem, pair.state, pair.chosen, pair.group, chosen_D);
    write_features(problem, pair.state, pair.rejected, pair.group, rejected_D);
    for (std::size_t j = 0; j < matrix.dim; ++j) matrix.x_ND.push_back(chosen_D[j] - rejected_D[j]);
    matrix.group_N.push_back(pair.group);
  }
  return matrix;
}

PairRange slice_of(std::size_t pairs, std::size_t slice, std::size_t slices) {
  const std::size_t size = pairs / slices;
  const std::size_t longer = pairs % slices;  // the first slices take one more
  const std::size_t first = slice * size + (slice < longer ? slice : longer);
  return {first, first + size + (slice < longer ? 1 : 0)};
}

template <class PairAt>
void GroupedPairs::fill(const PairMatrix& matrix, std::size_t count, PairAt pair_at) {
  next_slot_K_.assign(matrix.groups, 0);
  for (std::size_t i = 0; i < count; ++i) ++next_slot_K_[matrix.group_N[pair_at(i)]];
  segments_.clear();
  std::size_t blocks = 0;
  for (std::uint32_t group = 0; group < matrix.groups; ++group) {
    const std::size_t pairs = next_slot_K_[group];
    next_slot_K_[group] = blocks * kLanes;
    if (pairs == 0) continue;
    const std::size_t group_blocks = (pairs + kLanes - 1) / kLanes;
    segments_.push_back({group, static_cast<double>(pairs), {nullptr, nullptr, group_blocks, matrix.dim}});
    blocks += group_blocks;
  }
  x_.assign(blocks * matrix.dim * kLanes, 0.0);
  mask_.assign(blocks * kLanes, 0.0);
  std::size_t first_block = 0;
  for (Segment& segment : segments_) {
    segment.blocks.x = x_.data() + first_block * matrix.dim * kLanes;
    segment.blocks.mask = mask_.data() + first_block * kLanes;
    first_block += segment.blocks.count;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::span<const double> row = matrix.row(pair_at(i));
    const std::size_t slot = next_slot_K_[matrix.group_N[pair_at(i)]]++;
    double* const block = x_.data() + slot / kLanes * matrix.dim * kLanes;
    for (std::size_t j = 0; j < matrix.dim; ++j) block[j * kLanes + slot % kLanes] = row[j];
    mask_[slot] = 1.0;
  }
}

void GroupedPairs::assign(const PairMatrix& matrix, PairRange range) {
  EQUIPOISE_CHECK(range.first <= range.end && range.end <= matrix.pairs());
  fill(matrix, range.end - range.first, [&](std::size_t i) { return range.first + i; });
}

void GroupedPairs::assign(const PairMatrix& matrix, std::span<const std::int64_t> pairs) {
  for (const std::int64_t pair : pairs) {
    EQUIPOISE_CHECK(pair >= 0 && static_cast<std::size_t>(pair) < matrix.pairs());
  }
  fill(matrix, pairs.size(), [&](std::size_t i) { return static_cast<std::size_t>(pairs[i]); });
}

}  // namespace equipoise::log_linear
