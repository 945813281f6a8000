// Whether a pair was met before, in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/dataset/preference_pair.h"

namespace equipoise {

// Remembers 64 bits of each different pair of each group, up to `most` of them: 16 bytes each at most, half of them in
// use. Two of 10^6 pairs are taken for one with a probability of 3e-8. Not thread-safe.
class SeenPairs {
 public:
  explicit SeenPairs(std::size_t most = std::size_t{1} << 21) : most_(most) {}

  // True if the group had a pair with the same prompt and answers before. Once `most` are known, new ones are compared
  // with those and not remembered.
  bool seen_before(const PreferencePair& pair, std::uint32_t group);
  bool is_full() const { return size_ == most_; }

 private:
  void grow();
  std::size_t slot_of(std::uint64_t key) const;  // that holds it, or is free

  std::size_t most_, size_ = 0;
  std::vector<std::uint64_t> slots_;  // 0: free; a power of two of them
};

}  // namespace equipoise
