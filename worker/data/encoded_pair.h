// One pair as token ids, one that was left out, and columns of many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "common/dataset/preference_pair.h"

namespace equipoise {

// A view, valid as long as what it was made from: EncodedPairs, or anybody's lists.
struct EncodedPair {
  std::span<const std::int32_t> prompt_ids = {};    // with BOS if the tokenizer adds one
  std::span<const std::int32_t> chosen_ids = {};    // with EOS, unless cut off
  std::span<const std::int32_t> rejected_ids = {};  // the same; empty when the data has no rejected answer (SFT)
  std::span<const Membership> memberships = {};
  double chosen_share = 1;  // in (0, 1]: the share of people who prefer the chosen answer
  double weight = 1;        // v_i > 0, as in the data
  std::optional<ReferenceLogProbs> reference = std::nullopt;  // where the data has them

  std::size_t num_tokens() const { return prompt_ids.size() + chosen_ids.size() + rejected_ids.size(); }
};

// Why a pair is not trained on.
struct DropCause {
  enum class What : std::uint32_t { kNoRoom, kLongPrompt, kLongPair };
  static constexpr std::uint32_t kLast = static_cast<std::uint32_t>(What::kLongPair);
  What what = What::kNoRoom;
  std::uint32_t tokens = 0;  // of its prompt; kLongPair: of all of it
  std::uint32_t limit = 0;   // max_length; kLongPrompt: max_prompt_length

  std::string text() const;  // "its prompt of 70 tokens leaves no room for an answer within max_length = 64"
};

struct DroppedPair {
  std::int64_t position = 0;  // among all pairs of the data, dropped ones too, from 0
  std::span<const Membership> memberships;
  DropCause cause;
};

// Some consecutive pairs of the data. N of them are kept. Equal membership lists are there once.
struct PairColumns {
  struct Dropped {
    std::uint32_t position, memberships, what, tokens, limit;  // position in these columns; the number of a list
  };
  std::span<const std::int32_t> ids;               // prompt, chosen, rejected of each pair
  std::span<const std::uint32_t> id_end_3N;        // where each of these lists ends in `ids`
  std::span<const std::uint32_t> memberships_N;    // the number of each pair's list
  std::span<const double> chosen_share_N;          // [N]
  std::span<const Membership> memberships;         // of all lists
  std::span<const std::uint32_t> memberships_end;  // where each list ends in `memberships`
  std::span<const Dropped> dropped;
  // [N] each, or empty where no pair has any but 1, or none at all.
  std::span<const double> weight_N = {};
  std::span<const ReferenceLogProbs> reference_N = {};

  std::size_t size() const { return memberships_N.size(); }
};

}  // namespace equipoise
