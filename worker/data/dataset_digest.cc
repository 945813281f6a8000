#include "common/base/sha256.h"
#include "worker/data/encoded_pair.h"

namespace equipoise {
namespace {

void add_weights(const EncodedDataset& dataset, Sha256& sha256) {
  for (const EncodedPair pair : dataset.pairs) {
    sha256.add_number(pair.weight);
    sha256.add_number(std::uint64_t{pair.reference ? 1U : 0U});
    sha256.add_number(pair.reference ? pair.reference->chosen : 0.0);
    sha256.add_number(pair.reference ? pair.reference->rejected : 0.0);
  }
}

}  // namespace

Digest dataset_digest(const EncodedDataset& dataset) {
  Sha256 sha256;
  sha256.add_number(std::uint64_t{dataset.group_names.size()});
  for (const std::string& name : dataset.group_names) sha256.add_text(name);
  sha256.add_number(std::uint64_t{dataset.size()});
  bool is_unanimous = true, is_plain = true;
  for (const EncodedPair pair : dataset.pairs) {
    for (const auto ids : {pair.prompt_ids, pair.chosen_ids, pair.rejected_ids}) sha256.add_list(ids);
    sha256.add_number(std::uint64_t{pair.memberships.size()});
    for (const auto& [group, weight] : pair.memberships) {
      sha256.add_number(group);
      sha256.add_number(weight);
    }
    is_unanimous = is_unanimous && pair.chosen_share == 1;
    is_plain = is_plain && pair.weight == 1 && !pair.reference;
  }
  if (!is_unanimous) {
    for (const EncodedPair pair : dataset.pairs) sha256.add_number(pair.chosen_share);
  }
  if (!is_plain) add_weights(dataset, sha256);
  return sha256.finish();
}

}  // namespace equipoise
