// Pairs of several data files as one stream, read on a thread of its own a little ahead of whoever takes them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/dataset/preference_reader.h"

namespace equipoise {

// Some pairs of one file. Its memory is used again: only the first `size` pairs count.
struct PairBatch {
  std::vector<PreferencePair> pairs;
  std::size_t size = 0;
  std::size_t file = 0;                 // its place
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
