#include "coordinator/weights/report_format.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace equipoise::coordinator {
namespace {

static_assert(std::endian::native == std::endian::little, "float64 is stored as it lies in memory");

constexpr std::uint64_t kMoreBytes = 0x80;
constexpr std::uint64_t kBitsOfByte = 0x7f;
constexpr unsigned kBits = 7;
constexpr double kWholeNumbers = 4503599627370496.0;  // 2^52

void add_varint(std::string& bytes, std::uint64_t value) {
  for (; value > kBitsOfByte; value >>= kBits) {
    bytes.push_back(static_cast<char>((value & kBitsOfByte) | kMoreBytes));
  }
  bytes.push_back(static_cast<char>(value));
}

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

class ReportReader {
 public:
  explicit ReportReader(std::string_view bytes) : left_(bytes) {}

  std::optional<v1::ReportStepRequest> read() {
    v1::ReportStepRequest report;
    std::int64_t id = -1;
    for (std::uint64_t groups = length(); groups > 0 && is_good_; --groups) {
      id = next_id(id);
      report.add_group(static_cast<std::uint32_t>(id));
      report.add_pair_count(count());
      report.add_loss_sum(float64());
    }
    report.set_batch_pairs(count());
    id = -1;
    for (std::uint64_t groups = length(); groups > 0 && is_good_; --groups) {
      id = next_id(id);
      report.add_non_finite_group(static_cast<std::uint32_t>(id));
    }
    if (!is_good_ || !left_.empty()) return std::nullopt;
    return report;
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += kBits) {
      if (left_.empty()) break;
      const auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      value |= (byte & kBitsOfByte) << shift;
      if ((byte & kMoreBytes) == 0) return value;
    }
    is_good_ = false;
    return 0;
  }
  // Every group takes a byte at least.
  std::uint64_t length() {
    const std::uint64_t value = varint();
    is_good_ = is_good_ && value <= left_.size();
    return is_good_ ? value : 0;
  }
  std::int64_t next_id(std::int64_t before) {
    const std::uint64_t distance = varint();
    is_good_ = is_good_ && distance <= std::numeric_limits<std::uint32_t>::max();
    const std::int64_t id = before + 1 + static_cast<std::int64_t>(is_good_ ? distance : 0);
    is_good_ = is_good_ && id <= std::numeric_limits<std::uint32_t>::max();
    return id;
  }
  double count() {
    const std::uint64_t stored = varint();
    return stored == 0 ? float64() : static_cast<double>(stored - 1);
  }
  double float64() {
    double value = 0;
    is_good_ = is_good_ && left_.size() >= sizeof value;
    if (!is_good_) return value;
    std::memcpy(&value, left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return value;
  }

  std::string_view left_;
  bool is_good_ = true;
};

}  // namespace

std::string encoded_report(const v1::ReportStepRequest& report) {
  std::string bytes;
  std::int64_t before = -1;
  add_varint(bytes, static_cast<std::uint64_t>(report.group_size()));
  for (int i = 0; i < report.group_size(); ++i) {
    add_varint(bytes, static_cast<std::uint64_t>(report.group(i) - before - 1));
    before = report.group(i);
    add_count(bytes, report.pair_count(i));
    add_float64(bytes, report.loss_sum(i));
  }
  add_count(bytes, report.batch_pairs());
  before = -1;
  add_varint(bytes, static_cast<std::uint64_t>(report.non_finite_group_size()));
  for (const std::uint32_t group : report.non_finite_group()) {
    add_varint(bytes, static_cast<std::uint64_t>(group - before - 1));
    before = group;
  }
  return bytes;
}

std::optional<v1::ReportStepRequest> decoded_report(std::string_view bytes) { return ReportReader(bytes).read(); }

}  // namespace equipoise::coordinator
