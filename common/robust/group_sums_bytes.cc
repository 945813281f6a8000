#include "common/robust/group_sums_bytes.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace equipoise {
namespace {

static_assert(std::endian::native == std::endian::little, "float64 is stored as it lies in memory");

constexpr std::uint64_t kMoreBytes = 0x80;
constexpr std::uint64_t kBitsOfByte = 0x7f;
constexpr unsigned kBits = 7;
constexpr double kWholeNumbers = 4503599627370496.0;  // 2^52

void add_float64(std::string& bytes, double value) {
  char stored[sizeof value];
  std::memcpy(stored, &value, sizeof value);
  bytes.append(stored, sizeof value);
}

void add_count(std::string& bytes, double count) {
  const bool is_whole = count >= 0 && count < kWholeNumbers && std::floor(count) == count && !std::signbit(count);
  if (is_whole) return add_varint(bytes, static_cast<std::uint64_t>(count) + 1);
  add_varint(bytes, 0);
  add_float64(bytes, count);
}

void add_ids(std::string& bytes, std::span<const std::uint32_t> ids) {
  add_varint(bytes, ids.size());
  std::int64_t before = -1;
  for (const std::uint32_t id : ids) {
    add_varint(bytes, static_cast<std::uint64_t>(std::int64_t{id} - before - 1));
    before = id;
  }
}

[[noreturn]] void refuse_field(const char* field, const char* what) {
  throw std::invalid_argument(std::string(field) + " " + what);
}

class GroupSumsReader {
 public:
  explicit GroupSumsReader(std::string_view bytes) : left_(bytes) {}

  StoredGroupSums read() {
    StoredGroupSums stored;
    std::int64_t id = -1;
    for (std::uint64_t groups = length("group"); groups > 0; --groups) {
      id = next_id("group", id);
      stored.sums.group.push_back(static_cast<std::uint32_t>(id));
      stored.sums.pair_count.push_back(count("pair_count"));
      stored.sums.loss_sum.push_back(float64("loss_sum"));
    }
    stored.sums.batch_pairs = count("batch_pairs");
    id = -1;
    for (std::uint64_t groups = length("skipped"); groups > 0; --groups) {
      id = next_id("skipped", id);
      stored.skipped.push_back(static_cast<std::uint32_t>(id));
    }
    if (!left_.empty()) refuse_field("skipped", "is followed by further bytes, expected the end of the step");
    return stored;
  }

 private:
  std::uint64_t varint(const char* field) {
    const auto value = take_varint(left_);
    if (!value) refuse_field(field, "is cut short");
    return *value;
  }
  // Every group takes a byte at least.
  std::uint64_t length(const char* field) {
    const std::uint64_t value = varint(field);
    if (value > left_.size()) refuse_field(field, "has more groups than the record has bytes");
    return value;
  }
  std::int64_t next_id(const char* field, std::int64_t before) {
    constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
    const std::uint64_t distance = varint(field);
    const bool is_id =
        distance <= static_cast<std::uint64_t>(kMost) && before + 1 + static_cast<std::int64_t>(distance) <= kMost;
    if (!is_id) refuse_field(field, "has an id over 2^32 - 1");
    return before + 1 + static_cast<std::int64_t>(distance);
  }
  double count(const char* field) {
    const std::uint64_t stored = varint(field);
    return stored == 0 ? float64(field) : static_cast<double>(stored - 1);
  }
  double float64(const char* field) {
    double value = 0;
    if (left_.size() < sizeof value) refuse_field(field, "is cut short");
    std::memcpy(&value, left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return value;
  }

  std::string_view left_;
};

}  // namespace

void add_varint(std::string& bytes, std::uint64_t value) {
  for (; value > kBitsOfByte; value >>= kBits) {
    bytes.push_back(static_cast<char>((value & kBitsOfByte) | kMoreBytes));
  }
  bytes.push_back(static_cast<char>(value));
}

std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += kBits) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= (byte & kBitsOfByte) << shift;
    if ((byte & kMoreBytes) == 0) return value;
  }
  return std::nullopt;
}

void add_group_sums(std::string& bytes, const GroupSumsView& sums) {
  add_varint(bytes, sums.group.size());
  std::int64_t before = -1;
  for (std::size_t i = 0; i < sums.group.size(); ++i) {
    add_varint(bytes, static_cast<std::uint64_t>(std::int64_t{sums.group[i]} - before - 1));
    before = sums.group[i];
    add_count(bytes, sums.pair_count[i]);
    add_float64(bytes, sums.loss_sum[i]);
  }
  add_count(bytes, sums.batch_pairs);
  add_ids(bytes, sums.skipped);
}

StoredGroupSums stored_group_sums(std::string_view bytes) { return GroupSumsReader(bytes).read(); }

}  // namespace equipoise
