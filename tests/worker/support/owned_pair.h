// Pairs with lists of their own, to write down, change and put in order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "worker/data/encoded_pairs.h"

namespace equipoise {

inline std::vector<std::int32_t> to_list(std::span<const std::int32_t> ids) { return {ids.begin(), ids.end()}; }

struct OwnedPair {
  std::vector<std::int32_t> prompt_ids = {}, chosen_ids = {}, rejected_ids = {};
  std::vector<Membership> memberships = {};
  double chosen_share = 1;
  double weight = 1;
  std::optional<ReferenceLogProbs> reference = {};

  EncodedPair view() const {
    return {.prompt_ids = prompt_ids,
            .chosen_ids = chosen_ids,
            .rejected_ids = rejected_ids,
            .memberships = memberships,
            .chosen_share = chosen_share,
            .weight = weight,
            .reference = reference};
  }
};

inline OwnedPair owned(const EncodedPair& pair) {
  return {.prompt_ids = to_list(pair.prompt_ids),
          .chosen_ids = to_list(pair.chosen_ids),
          .rejected_ids = to_list(pair.rejected_ids),
          .memberships = {pair.memberships.begin(), pair.memberships.end()},
          .chosen_share = pair.chosen_share,
          .weight = pair.weight,
          .reference = pair.reference};
}

inline EncodedPairs encoded(const std::vector<OwnedPair>& pairs) {
  EncodedPairs result;
  for (const OwnedPair& pair : pairs) result.add(pair.view());
  return result;
}

inline std::vector<OwnedPair> owned(const EncodedPairs& pairs) {
  std::vector<OwnedPair> result;
  for (const EncodedPair pair : pairs) result.push_back(owned(pair));
  return result;
}

}  // namespace equipoise
