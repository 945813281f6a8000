#include "common/ledger/step_bytes.h"

#include <limits>
#include <stdexcept>
#include <utility>

namespace equipoise {

void add_step_bytes(std::string& bytes, const LedgerStep& step) {
  add_varint(bytes, static_cast<std::uint64_t>(step.step));
  add_group_sums(bytes, {.group = step.group,
                         .loss_sum = step.loss_sum,
                         .pair_count = step.pair_count,
                         .batch_pairs = step.batch_pairs,
                         .skipped = step.skipped});
}

StoredStep step_of_bytes(std::string_view bytes) {
  const auto step = take_varint(bytes);
  if (!step) throw std::invalid_argument("step is cut short");
  if (*step > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    throw std::invalid_argument("step is over 2^63 - 1");
  }
  StoredGroupSums stored = stored_group_sums(bytes);
  return {
      .step = static_cast<std::int64_t>(*step), .sums = std::move(stored.sums), .skipped = std::move(stored.skipped)};
}

}  // namespace equipoise
