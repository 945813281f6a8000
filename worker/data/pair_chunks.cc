#include "worker/data/pair_chunks.h"

#include <utility>

namespace equipoise {
namespace {

std::size_t size_of(const PreferencePair& pair) {
  return pair.prompt.size() + pair.chosen.size() + pair.rejected.size() + pair.tools.size() +
         pair.template_variables.size();
}

}  // namespace

PairChunks::PairChunks(PreferenceReader reader, ChunkLimits limits) : reader_(std::move(reader)), limits_(limits) {
  read(coming_);
}

std::span<const PreferencePair> PairChunks::next() {
  if (reading_.valid()) reading_.get();
  std::swap(current_, coming_);
  coming_.size = 0;
  if (!is_at_end_) reading_ = std::async(std::launch::async, [this] { read(coming_); });
  return std::span(current_.pairs).first(current_.size);
}

std::string PairChunks::place(std::int64_t line) {
  if (reading_.valid()) reading_.wait();
  return reader_.place(line);
}

void PairChunks::read(Chunk& chunk) {
  std::size_t bytes = 0;
  for (chunk.size = 0; chunk.size < limits_.pairs && bytes < limits_.bytes; ++chunk.size) {
    if (chunk.pairs.size() == chunk.size) chunk.pairs.emplace_back();
    if (!reader_.next(chunk.pairs[chunk.size])) {
      is_at_end_ = true;
      return;
    }
    bytes += size_of(chunk.pairs[chunk.size]);
  }
}

}  // namespace equipoise
