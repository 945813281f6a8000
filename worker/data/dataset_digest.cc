#include <algorithm>
#include <bit>

#include "common/base/sha256.h"
#include "worker/data/encoded_pair.h"

namespace equipoise {
namespace {

static_assert(std::endian::native == std::endian::little, "digests are over little-endian numbers");

template <class Number>
void add_number(Sha256& sha256, Number number) {
  sha256.update(std::as_bytes(std::span(&number, 1)));
}

void add_ids(Sha256& sha256, std::span<const std::int32_t> ids) {
  add_number(sha256, std::uint64_t{ids.size()});
  sha256.update(std::as_bytes(ids));
}

}  // namespace

std::array<std::byte, 32> dataset_digest(const EncodedDataset& dataset) {
  Sha256 sha256;
  add_number(sha256, std::uint64_t{dataset.group_names.size()});
  for (const std::string& name : dataset.group_names) {
    add_number(sha256, std::uint64_t{name.size()});
    sha256.update(name);
  }
  add_number(sha256, std::uint64_t{dataset.pairs.size()});
  for (const EncodedPair pair : dataset.pairs) {
    add_ids(sha256, pair.prompt_ids);
    add_ids(sha256, pair.chosen_ids);
    add_ids(sha256, pair.rejected_ids);
    add_number(sha256, std::uint64_t{pair.memberships.size()});
    for (const Membership& membership : pair.memberships) {
      add_number(sha256, membership.group);
      add_number(sha256, membership.weight);
    }
  }
  const auto is_unanimous = [](const EncodedPair& pair) { return pair.chosen_share == 1; };
  if (!std::ranges::all_of(dataset.pairs, is_unanimous)) {
    for (const EncodedPair pair : dataset.pairs) add_number(sha256, pair.chosen_share);
  }
  return sha256.finish();
}

}  // namespace equipoise
