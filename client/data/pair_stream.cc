#include "client/data/pair_stream.h"

#include <array>
#include <string_view>
#include <utility>

namespace equipoise {
namespace {

constexpr std::size_t kPairsAtOnce = 1024;
constexpr std::size_t kBytesAtOnce = 4 << 20;  // of long pairs fewer
constexpr std::size_t kBatchesAhead = 4;
constexpr std::size_t kBytesKept = 8 << 10;  // by a place in a batch for its next pair: some 60 MB for all of them

// What all files have or none has: a default in one would stand beside what another says.
constexpr std::array<std::string_view, 4> kAlike = {"group", "chosen_share", "weight", "ref_chosen_logps"};

std::size_t memory_of(const PreferencePair& pair) {
  return pair.prompt.capacity() + pair.chosen.capacity() + pair.rejected.capacity() + pair.tools.capacity() +
         pair.template_variables.capacity() + pair.memberships.capacity() * sizeof(Membership);
}

// False at the end of the file. What was read before something is thrown is in the batch.
bool fill(PreferenceReader& reader, PairBatch& batch) {
  batch.size = 0;
  for (std::size_t bytes = 0; batch.size < kPairsAtOnce && bytes < kBytesAtOnce; ++batch.size) {
    if (batch.pairs.size() == batch.size) batch.pairs.emplace_back();
    PreferencePair& pair = batch.pairs[batch.size];
    if (memory_of(pair) > kBytesKept) std::exchange(pair, {});
    if (!reader.next(pair)) return false;
    bytes += memory_of(pair);
  }
  return true;
}

}  // namespace

PairStream::PairStream(std::vector<std::filesystem::path> files, PreferenceReadSettings settings)
    : files_(std::move(files)), settings_(std::move(settings)), thread_([this] { read_all(); }) {}

PairStream::~PairStream() {
  const std::scoped_lock lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

bool PairStream::next(PairBatch& batch) {
  std::unique_lock lock(mutex_);
  used_.push_back(std::move(batch));
  changed_.wait(lock, [this] { return !ready_.empty() || ended_; });
  if (!ready_.empty()) {
    batch = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
    return true;
  }
  if (problem_) std::rethrow_exception(problem_);
  batch = {};
  return false;
}

void PairStream::read_all() {
  std::exception_ptr problem;
  try {
    for (std::size_t file = 0; file < files_.size() && read_file(file);) ++file;
  } catch (...) {
    problem = std::current_exception();
  }
  const std::scoped_lock lock(mutex_);
  problem_ = problem;
  ended_ = true;
  changed_.notify_all();
}

bool PairStream::read_file(std::size_t file) {
  std::vector<std::string>& known = settings_.known_groups;
  PreferenceReader reader(files_[file], settings_);
  PairBatch batch;
  std::exception_ptr problem;
  for (bool more = true; more;) {
    batch.file = file;
    try {
      more = fill(reader, batch);
    } catch (...) {
      problem = std::current_exception();
    }
    const std::vector<std::string>& names = reader.group_names();
    batch.new_groups.assign(names.begin() + static_cast<std::ptrdiff_t>(known.size()), names.end());
    known.insert(known.end(), batch.new_groups.begin(), batch.new_groups.end());
    if (!push(batch)) return false;
    if (problem) std::rethrow_exception(problem);
  }
  fields_.push_back(
      file_fields(files_[file].string(), reader.fields(), settings_.group_columns, !settings_.group.empty()));
  check_same_fields(fields_, kAlike);
  return true;
}

bool PairStream::push(PairBatch& batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ready_.size() < kBatchesAhead || stopped_; });
  if (stopped_) return false;
  ready_.push_back(std::move(batch));
  batch = {};
  if (!used_.empty()) {
    batch = std::move(used_.front());
    used_.pop_front();
  }
  changed_.notify_all();
  return true;
}

}  // namespace equipoise
