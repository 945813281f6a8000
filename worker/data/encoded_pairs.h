// Pairs as token ids, in columns: in memory of their own, or where a token store is mapped, which the processes of a
// host share. Nothing is allocated for a single pair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/dataset/preference_pair.h"
#include "common/dataset/token_store.h"

namespace equipoise {

// A view, valid as long as what it was made from: EncodedPairs, or anybody's lists.
struct EncodedPair {
  std::span<const std::int32_t> prompt_ids = {};    // with BOS if the tokenizer adds one
  std::span<const std::int32_t> chosen_ids = {};    // with EOS, unless cut off
  std::span<const std::int32_t> rejected_ids = {};  // the same; empty when the data has no rejected answer (SFT)
  std::span<const Membership> memberships = {};
  double chosen_share = 1;  // in (0, 1]: the share of people who prefer the chosen answer

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

  std::size_t size() const { return memberships_N.size(); }
};

// Adding is for one thread, reading for many at once.
class EncodedPairs {
 public:
  class Iterator;

  EncodedPairs();
  EncodedPairs(EncodedPairs&&) noexcept;
  EncodedPairs& operator=(EncodedPairs&&) noexcept;
  ~EncodedPairs();

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  EncodedPair operator[](std::size_t i) const;  // i < size()
  Iterator begin() const;
  Iterator end() const;

  // Pairs of the data that are left out, in its order.
  std::size_t num_dropped() const { return num_dropped_; }
  DroppedPair dropped(std::size_t i) const;  // i < num_dropped()

  // Copies of the ids and memberships; the latter are not empty where groups matter.
  void add(const EncodedPair& pair);
  void add_dropped(std::span<const Membership> memberships, const DropCause& cause);
  // All of `more` after these.
  void append(EncodedPairs more);
  // `columns` are right and lie in a store that keep() is given.
  void append(const PairColumns& columns);
  void keep(TokenStore store) { stores_.push_back(std::move(store)); }

  // In the order of the data; views as long as nothing is added.
  std::vector<PairColumns> columns() const;

 private:
  struct Vectors;
  struct Block;
  Block& open_block();
  const Block& block_of(std::size_t i, std::size_t Block::* first) const;

  std::vector<Block> blocks_;
  std::vector<TokenStore> stores_;
  std::size_t size_ = 0, num_dropped_ = 0;
};

class EncodedPairs::Iterator {
 public:
  using value_type = EncodedPair;
  using difference_type = std::ptrdiff_t;
  Iterator() = default;
  Iterator(const EncodedPairs& pairs, std::size_t i) : pairs_(&pairs), i_(i) {}
  EncodedPair operator*() const { return (*pairs_)[i_]; }
  Iterator& operator++() { return ++i_, *this; }
  Iterator operator++(int) { return {*pairs_, i_++}; }
  bool operator==(const Iterator& other) const { return i_ == other.i_; }

 private:
  const EncodedPairs* pairs_ = nullptr;
  std::size_t i_ = 0;
};

inline EncodedPairs::Iterator EncodedPairs::begin() const { return {*this, 0}; }
inline EncodedPairs::Iterator EncodedPairs::end() const { return {*this, size_}; }

}  // namespace equipoise
