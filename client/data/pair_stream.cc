#include "client/data/pair_stream.h"

#include <array>
#include <functional>
#include <string_view>
#include <utility>

#include "client/data/new_bytes.h"
#include "common/base/split_mix64.h"

namespace equipoise {
namespace {

// Never 0.
std::uint64_t key_of(const PreferencePair& pair, std::uint32_t group) {
  std::uint64_t key = mixed_bits(group, pair.form == AnswerForm::kMessages ? 1 : 0);
  for (const std::string_view text :
       {std::string_view(pair.prompt), std::string_view(pair.chosen), std::string_view(pair.rejected),
        std::string_view(pair.tools), std::string_view(pair.template_variables)}) {
    key = mixed_bits(key ^ std::hash<std::string_view>()(text), text.size());
  }
  return key == 0 ? 1 : key;
}

}  // namespace

bool SeenPairs::seen_before(const PreferencePair& pair, std::uint32_t group) {
  if (2 * (size_ + 1) > slots_.size() && !is_full()) grow();
  const std::uint64_t key = key_of(pair, group);
  std::uint64_t& slot = slots_[slot_of(key)];
  if (slot == key) return true;
  if (is_full()) return false;
  slot = key;
  ++size_;
  return false;
}

std::size_t SeenPairs::slot_of(std::uint64_t key) const {
  std::size_t place = key & (slots_.size() - 1);
  while (slots_[place] != 0 && slots_[place] != key) place = (place + 1) & (slots_.size() - 1);
  return place;
}

void SeenPairs::grow() {
  constexpr std::size_t kFirst = 1024;
  std::vector<std::uint64_t> before = std::move(slots_);
  slots_.assign(before.empty() ? kFirst : 2 * before.size(), 0);
  for (const std::uint64_t key : before) {
    if (key != 0) slots_[slot_of(key)] = key;
  }
}

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
  NewBytes new_bytes;
  for (bool more = true; more;) {
    batch.file = file;
    try {
      more = fill(reader, batch);
    } catch (...) {
      problem = std::current_exception();
    }
    batch.bytes = new_bytes.take(reader.bytes_read());
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
