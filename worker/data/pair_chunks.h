// The pairs of a data file, some at a time: the next ones are read while those before are worked on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <future>
#include <span>
#include <string>
#include <vector>

#include "common/dataset/preference_reader.h"

namespace equipoise {

// Of one chunk, whichever comes first; a single pair may be longer.
struct ChunkLimits {
  std::size_t pairs = 4096;
  std::size_t bytes = 8 << 20;  // of prompts and answers
};

// Not thread-safe. It has two chunks in memory.
class PairChunks {
 public:
  // Throws what PreferenceReader::next() throws.
  PairChunks(PreferenceReader reader, ChunkLimits limits);
  PairChunks(const PairChunks&) = delete;
  PairChunks& operator=(const PairChunks&) = delete;

  // The next pairs, valid until the next call; none after the last. Throws what PreferenceReader::next() throws.
  std::span<const PreferencePair> next();

  // As PreferenceReader has them; names and fields once all pairs are read.
  const std::vector<std::string>& group_names() const { return reader_.group_names(); }
  const DataFields& fields() const { return reader_.fields(); }
  std::string place(std::int64_t line);

 private:
  struct Chunk {
    std::vector<PreferencePair> pairs;  // their memory is used again
    std::size_t size = 0;
  };
  void read(Chunk& chunk);

  PreferenceReader reader_;
  ChunkLimits limits_;
  Chunk current_, coming_;
  bool is_at_end_ = false;
  std::future<void> reading_;  // of coming_, until it is current_
};

}  // namespace equipoise
