#include "common/robust/shares_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "common/base/bounded_file.h"
#include "common/base/sha256.h"
#include "common/robust/group_sums_bytes.h"

namespace equipoise {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are stored as they lie in memory");

constexpr std::string_view kMagic = "EQSHARE1";
constexpr std::size_t kDigestBytes = 8;  // of SHA-256 over what follows it, before the header and each block
// A group of a block takes less: 24 for its numbers' lengths, 48 for the numbers, 24 for each of the pairs.
constexpr std::int64_t kMostGroupBytes = 272;
// What is larger was not written here.
constexpr std::int64_t kMostHeaderBytes = std::int64_t{4} << 20;
constexpr std::int64_t kMostBlockBytes = std::int64_t{4} << 20;
constexpr std::int64_t kMostInteger = std::int64_t{1} << 53;
constexpr std::int64_t kLeastGroupBytes = 44, kLeastPairBytes = 10, kLeastNameBytes = 1;
constexpr std::chrono::seconds kBetweenWrites{1};

// A row of the index.
struct BlockRow {
  std::int64_t first, last;  // steps
  std::int64_t offset, bytes;
};
constexpr auto kRowBytes = static_cast<std::int64_t>(sizeof(BlockRow));

void add_number(std::string& bytes, double value) {
  std::array<char, sizeof value> stored{};
  std::memcpy(stored.data(), &value, sizeof value);
  bytes.append(stored.data(), stored.size());
}

void add_integer(std::string& bytes, std::int64_t value) { add_varint(bytes, static_cast<std::uint64_t>(value)); }

void add_names(std::string& bytes, const std::vector<std::string>& names) {
  add_varint(bytes, names.size());
  for (const std::string& name : names) {
    add_varint(bytes, name.size());
    bytes += name;
  }
}

// Takes what the functions above have added; everything after what is cut short is 0.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : left_(bytes) {}

  std::int64_t integer() {
    const auto value = take_varint(left_);
    if (!value || *value > static_cast<std::uint64_t>(kMostInteger)) return fail();
    return static_cast<std::int64_t>(*value);
  }
  double number() {
    double value = 0;
    if (left_.size() < sizeof value) return static_cast<double>(fail());
    std::memcpy(&value, left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return value;
  }
  // Of what takes so many bytes each at least.
  std::size_t count(std::int64_t least_bytes) {
    const std::int64_t value = integer();
    if (value > std::ssize(left_) / least_bytes) return static_cast<std::size_t>(fail());
    return static_cast<std::size_t>(value);
  }
  std::vector<std::string> names() {
    std::vector<std::string> names(count(kLeastNameBytes));
    for (std::string& name : names) {
      const std::size_t size = count(kLeastNameBytes);
      name = left_.substr(0, size);
      left_.remove_prefix(size);
    }
    return names;
  }
  bool is_whole() const { return is_right_ && left_.empty(); }

 private:
  std::int64_t fail() {
    is_right_ = false;
    left_ = {};
    return 0;
  }
  std::string_view left_;
  bool is_right_ = true;
};

std::string digest_text(std::string_view content) {
  return byte_text(sha256_of(std::as_bytes(std::span(content)))).substr(0, kDigestBytes);
}

std::string header_bytes(const SharesHeader& header) {
  std::string content;
  add_integer(content, header.budget);
  add_names(content, header.groups);
  add_names(content, header.files);
  std::string size;
  add_varint(size, content.size());
  return std::string(kMagic) + digest_text(content) + size + content;
}

std::string block_bytes(const SharesBlock& block) {
  std::string content;
  add_integer(content, block.first);
  add_integer(content, block.last);
  add_varint(content, block.groups.size());
  std::int64_t before = -1;
  for (const GroupShares& group : block.groups) {
    add_integer(content, std::int64_t{group.group} - before - 1);
    before = group.group;
    add_integer(content, group.step - block.first);
    for (const double value : {group.loss_sum, group.pair_count, group.alpha_before, group.alpha_after, group.rest}) {
      add_number(content, value);
    }
    add_integer(content, group.pairs);
    add_varint(content, group.top.size());
    for (const PairShare& pair : group.top) {
      add_varint(content, pair.file);
      add_integer(content, pair.row);
      add_number(content, pair.share);
    }
  }
  return digest_text(content) + content;
}

std::optional<SharesBlock> block_of(std::string_view bytes) {
  if (bytes.size() < kDigestBytes || digest_text(bytes.substr(kDigestBytes)) != bytes.substr(0, kDigestBytes)) {
    return std::nullopt;
  }
  FieldReader reader(bytes.substr(kDigestBytes));
  SharesBlock block{.first = reader.integer(), .last = reader.integer(), .groups = {}};
  block.groups.resize(reader.count(kLeastGroupBytes));
  std::int64_t before = -1;
  for (GroupShares& group : block.groups) {
    before += reader.integer() + 1;
    group.group = static_cast<std::uint32_t>(before);
    group.step = block.first + reader.integer();
    for (double* value : {&group.loss_sum, &group.pair_count, &group.alpha_before, &group.alpha_after, &group.rest}) {
      *value = reader.number();
    }
    group.pairs = reader.integer();
    group.top.resize(reader.count(kLeastPairBytes));
    for (PairShare& pair : group.top) {
      pair = {.file = static_cast<std::uint32_t>(reader.integer()), .row = reader.integer(), .share = reader.number()};
    }
  }
  if (!reader.is_whole()) return std::nullopt;
  return block;
}

std::int64_t size_of(int file) {
  struct stat found {};
  return ::fstat(file, &found) == 0 && S_ISREG(found.st_mode) ? found.st_size : 0;
}

std::optional<BlockRow> row_at(int index, std::int64_t number) {
  const std::string bytes = part_of_file(index, number * kRowBytes, kRowBytes);
  BlockRow row{};
  if (std::ssize(bytes) != kRowBytes) return std::nullopt;
  std::memcpy(&row, bytes.data(), sizeof row);
  const bool is_row =
      row.first >= 1 && row.last >= row.first && row.offset >= 0 && row.bytes >= 0 && row.bytes <= kMostBlockBytes;
  return is_row ? std::optional(row) : std::nullopt;
}

// The first block that ends at or behind `step`, of `blocks`.
std::int64_t first_block_to(int index, std::int64_t blocks, std::int64_t step) {
  std::int64_t low = 0, high = blocks;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    const auto row = row_at(index, middle);
    if (row && row->last < step) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

struct FoundHeader {
  SharesHeader header;
  std::int64_t bytes = 0;
};

std::optional<FoundHeader> header_in(int data) {
  constexpr std::int64_t kFirstPart = 4096;
  std::string bytes = part_of_file(data, 0, kFirstPart);
  const std::size_t before = kMagic.size() + kDigestBytes;
  if (bytes.size() < before || !bytes.starts_with(kMagic)) return std::nullopt;
  std::string_view left = std::string_view(bytes).substr(before);
  const auto size = take_varint(left);
  if (!size || *size > static_cast<std::uint64_t>(kMostHeaderBytes)) return std::nullopt;
  const std::int64_t begin = std::ssize(bytes) - std::ssize(left);
  const std::string content = part_of_file(data, begin, static_cast<std::int64_t>(*size));
  if (content.size() != *size || digest_text(content) != bytes.substr(kMagic.size(), kDigestBytes)) {
    return std::nullopt;
  }
  FieldReader reader(content);
  FoundHeader found{.header = {.budget = reader.integer(), .groups = reader.names(), .files = reader.names()},
                    .bytes = begin + static_cast<std::int64_t>(*size)};
  return reader.is_whole() ? std::optional(std::move(found)) : std::nullopt;
}

double move_of(const GroupShares& group) { return std::abs(group.alpha_after - group.alpha_before); }

int opened_for_writing(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) throw_write_fault(path.string() + ": cannot be written", errno);
  return file;
}

// With a cause in errno where it is false, also where only a part of the bytes had room.
bool write_at(int file, std::string_view bytes, std::int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += written;
  }
  return true;
}

}  // namespace

std::int64_t shares_room(std::int64_t budget, std::int64_t steps) {
  constexpr double kDoublings = 64;
  const double share = 0.5 + std::log2(static_cast<double>(std::max<std::int64_t>(steps, 1))) / kDoublings;
  return static_cast<std::int64_t>(static_cast<double>(budget) * std::min(share, 1.0));
}

SharesWriter::SharesWriter(const std::filesystem::path& folder, SharesHeader header, std::int64_t steps)
    : header_(std::move(header)),
      data_(opened_for_writing(folder / kSharesName)),
      index_(opened_for_writing(folder / kSharesIndexName)),
      path_(folder / kSharesName),
      first_(steps + 1),
      last_(steps),
      written_at_(std::chrono::steady_clock::now()) {
  const std::string bytes = header_bytes(header_);
  if (!go_on(bytes, steps)) begin_anew(bytes);
}

void SharesWriter::begin_anew(const std::string& header) {
  blocks_ = 0;
  offset_ = std::ssize(header);
  const bool is_done =
      ::ftruncate(index_.get(), 0) == 0 && ::ftruncate(data_.get(), 0) == 0 && write_at(data_.get(), header, 0);
  if (!is_done) throw_write_fault(path_.string() + ": cannot be written", errno);
}

// Of the block that the steps end in, what was before is taken up again: what later steps had put in its place they put
// there again.
bool SharesWriter::go_on(const std::string& header, std::int64_t steps) {
  if (steps == 0 || part_of_file(data_.get(), 0, std::ssize(header)) != header) return false;
  const std::int64_t rows = size_of(index_.get()) / kRowBytes;
  blocks_ = first_block_to(index_.get(), rows, steps + 1);
  offset_ = std::ssize(header);
  const auto before = blocks_ > 0 ? row_at(index_.get(), blocks_ - 1) : std::nullopt;
  if (blocks_ > 0 && !before) return false;
  // An open block that was written when the steps ended has a row too.
  const bool is_open = before && before->last == steps && !has_room(before->offset, blocks_ - 1, steps);
  std::optional<BlockRow> row;
  if (is_open) {
    --blocks_;
    row = before;
    offset_ = before->offset;
  } else {
    if (before) offset_ = before->offset + before->bytes;
    if (blocks_ < rows) row = row_at(index_.get(), blocks_);
    if (row && row->first > steps) row.reset();
  }
  if (row) {
    const auto block = block_of(part_of_file(data_.get(), row->offset, row->bytes));
    first_ = row->first;
    for (const GroupShares& group : block ? block->groups : std::vector<GroupShares>()) {
      if (group.step <= steps) open_[group.group] = group;
    }
  } else if (before) {
    first_ = before->last + 1;
  }
  if (::ftruncate(index_.get(), blocks_ * kRowBytes) != 0 || ::ftruncate(data_.get(), offset_) != 0) {
    throw_write_fault(path_.string() + ": cannot be cut off", errno);
  }
  is_changed_ = !open_.empty();
  return true;
}

// For the open block, however large, and for the one that is open after it. How large the open one has become does not
// count: that depends on steps which a run may be going over again.
bool SharesWriter::has_room(std::int64_t offset, std::int64_t blocks, std::int64_t steps) const {
  constexpr std::int64_t kBlockFrame = 64;  // beside its groups
  const std::int64_t block = static_cast<std::int64_t>(header_.groups.size()) * kMostGroupBytes + kBlockFrame;
  return offset + 2 * block + (blocks + 2) * kRowBytes <= shares_room(header_.budget, steps);
}

std::int64_t SharesWriter::bytes() const { return offset_ + written_ + (blocks_ + (written_ > 0 ? 1 : 0)) * kRowBytes; }

void SharesWriter::add(std::int64_t step, std::vector<GroupShares> groups) {
  last_ = step;
  for (GroupShares& group : groups) {
    const auto kept = open_.find(group.group);
    if (kept == open_.end()) {
      open_.emplace(group.group, std::move(group));
    } else if (move_of(group) > move_of(kept->second)) {
      kept->second = std::move(group);
    }
  }
  is_changed_ = true;
  close_if_room();
  if (is_changed_ && std::chrono::steady_clock::now() - written_at_ >= kBetweenWrites) write_open();
}

void SharesWriter::close_if_room() {
  if (!has_room(offset_, blocks_, last_)) return;
  write_open();
  offset_ += std::exchange(written_, 0);
  ++blocks_;
  first_ = last_ + 1;
  open_.clear();
}

void SharesWriter::write_open() {
  written_at_ = std::chrono::steady_clock::now();
  if (!is_changed_) return;
  SharesBlock block{.first = first_, .last = last_, .groups = {}};
  for (const auto& [id, group] : open_) block.groups.push_back(group);
  const std::string bytes = block_bytes(block);
  const BlockRow row{.first = first_, .last = last_, .offset = offset_, .bytes = std::ssize(bytes)};
  const std::string_view row_bytes(reinterpret_cast<const char*>(&row), sizeof row);
  const auto put = [&] {
    const bool is_done =
        write_at(data_.get(), bytes, offset_) &&
        (std::ssize(bytes) >= written_ || ::ftruncate(data_.get(), offset_ + std::ssize(bytes)) == 0) &&
        write_at(index_.get(), row_bytes, blocks_ * kRowBytes);
    if (!is_done) throw_write_fault(path_.string() + ": cannot be written", errno);
  };
  do_with(patience_, put);
  written_ = std::ssize(bytes);
  is_changed_ = false;
}

SharesReader::SharesReader(std::unique_ptr<Descriptor> data, std::unique_ptr<Descriptor> index, SharesHeader header,
                           std::int64_t blocks)
    : data_(std::move(data)), index_(std::move(index)), header_(std::move(header)), blocks_(blocks) {}

std::optional<SharesReader> SharesReader::open(const std::filesystem::path& folder, std::string& why) {
  const auto opened = [&folder](const char* name) {
    return std::make_unique<Descriptor>(
        ::open((folder / name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  };
  return of(opened(kSharesName), opened(kSharesIndexName), why);
}

std::optional<SharesReader> SharesReader::of(std::unique_ptr<Descriptor> data, std::unique_ptr<Descriptor> index,
                                             std::string& why) {
  if (data->get() < 0 || index->get() < 0) {
    why =
        "there is no pair_shares.bin: nothing has moved group weights yet, logging.pair_shares_mib is 0, or the "
        "policy is log-linear";
    return std::nullopt;
  }
  auto found = header_in(data->get());
  if (!found) {
    why = "pair_shares.bin does not begin as such a file does";
    return std::nullopt;
  }
  const std::int64_t blocks = size_of(index->get()) / kRowBytes;
  return SharesReader(std::move(data), std::move(index), std::move(found->header), blocks);
}

std::int64_t SharesReader::find(std::int64_t step) const {
  const std::int64_t number = first_block_to(index_->get(), blocks_, step);
  const auto row = number < blocks_ ? row_at(index_->get(), number) : std::nullopt;
  return row && row->first <= step ? number : -1;
}

std::optional<SharesBlock> SharesReader::block(std::int64_t number) const {
  const auto row = row_at(index_->get(), number);
  if (!row || row->offset + row->bytes > size_of(data_->get())) return std::nullopt;
  return block_of(part_of_file(data_->get(), row->offset, row->bytes));
}

}  // namespace equipoise
