// Pairs as token ids, in columns: in memory of their own, or where a token store is mapped, which the processes of a
// host share. Nothing is allocated for a single pair.
#pragma once

#include <cstddef>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "worker/data/encoded_pair.h"
#include "worker/data/token_store.h"

namespace equipoise {

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

  // Copies of the ids and memberships; the latter are not empty where groups matter. All that are added have the
  // reference's log-probabilities, or none has.
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
  static EncodedPair pair_of(const Block& block, std::size_t i);
  const Block& block_of(std::size_t i, std::size_t Block::*first) const;

  std::vector<Block> blocks_;
  std::vector<TokenStore> stores_;
  std::size_t size_ = 0, num_dropped_ = 0;
};

class EncodedPairs::Iterator {
 public:
  using value_type = EncodedPair;
  using difference_type = std::ptrdiff_t;
  Iterator() = default;
  Iterator(const EncodedPairs& pairs, std::size_t i) : pairs_(&pairs), i_(i) { find_block(); }
  EncodedPair operator*() const;
  Iterator& operator++();
  Iterator operator++(int);
  bool operator==(const Iterator& other) const { return i_ == other.i_; }

 private:
  void find_block();  // from the one before on
  const EncodedPairs* pairs_ = nullptr;
  std::size_t i_ = 0;
  std::size_t block_ = 0;  // that of i_
};

inline EncodedPairs::Iterator EncodedPairs::begin() const { return {*this, 0}; }
inline EncodedPairs::Iterator EncodedPairs::end() const { return {*this, size_}; }

}  // namespace equipoise
