// Pairs of several data files as one stream, read on a thread of its own a little ahead of whoever takes them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/dataset/preference_pair.h"
#include "common/dataset/preference_reader.h"

namespace equipoise {

// Whether a pair was met before, in bounded memory.

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

// Some pairs of one file. Its memory is used again: only the first `size` pairs count.
struct PairBatch {
  std::vector<PreferencePair> pairs;
  std::size_t size = 0;
  std::size_t file = 0;                 // its place
  std::int64_t bytes = 0;               // of the file, read for these pairs
  std::vector<std::string> new_groups;  // that these pairs are the first of, in the order of their ids
};

class PairStream {
 public:
  // Group names keep their ids over all files. `settings.known_groups` come first.
  PairStream(std::vector<std::filesystem::path> files, PreferenceReadSettings settings);
  ~PairStream();  // stops reading
  PairStream(const PairStream&) = delete;
  PairStream& operator=(const PairStream&) = delete;

  // Swaps `batch` for the next one; false after the last. Throws what PreferenceReader throws, after all that was read
  // before, and where some files have groups, shares, weights or reference log-probs and others not. From one thread.
  bool next(PairBatch& batch);

  // Of the files that were read to their end, once next() has returned false.
  const std::vector<FileFields>& fields() const { return fields_; }

 private:
  void read_all();
  bool read_file(std::size_t file);  // false: nobody reads any more
  bool push(PairBatch& batch);       // likewise

  std::vector<std::filesystem::path> files_;
  PreferenceReadSettings settings_;  // known_groups: all so far
  std::vector<FileFields> fields_;   // the thread's until ended_

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<PairBatch> ready_, used_;  // under mutex_, as are the three below
  std::exception_ptr problem_;
  bool ended_ = false;
  bool stopped_ = false;

  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace equipoise
