#include "common/ledger/ledger_reader.h"

#include <algorithm>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/ledger/step_bytes.h"

namespace equipoise {
namespace {

constexpr std::size_t kReadAtOnce = std::size_t{1} << 20;
constexpr std::size_t kDigestSize = 32;
constexpr std::size_t kShortDigest = 12;  // digits of a digest in a message

std::string short_text(std::string_view bytes) {
  return hex_text(std::as_bytes(std::span(bytes))).substr(0, kShortDigest);
}

}  // namespace

LedgerReader::LedgerReader(const std::filesystem::path& path, std::function<void(std::int64_t)> on_bytes)
    : path_(path), on_bytes_(std::move(on_bytes)) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    throw std::invalid_argument(path.string() +
                                (std::filesystem::exists(path, error) ? ": is not a file" : ": is not there"));
  }
  size_ = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  file_.open(path, std::ios::binary);
  if (error || !file_) throw std::invalid_argument(path.string() + ": cannot be read");
  if (size_ < std::ssize(kLedgerMagic) || !read_bytes(kLedgerMagic.size()) || bytes_ != kLedgerMagic) {
    throw std::invalid_argument(path.string() + ": is no ledger: its first line is not " +
                                std::string(kLedgerMagic.substr(0, kLedgerMagic.find("  "))));
  }
  sealed_ = {.bytes = 0, .chain = sha256_of(std::as_bytes(std::span(kLedgerMagic)))};
  sealed_before_ = sealed_;
  chain_.update(std::as_bytes(std::span(sealed_.chain)));
  bytes_.clear();
}

// Appends to bytes_. Asks for memory as bytes come.
bool LedgerReader::read_bytes(std::size_t count) {
  while (count > 0) {
    const std::size_t piece = std::min(count, kReadAtOnce), before = bytes_.size();
    bytes_.resize(before + piece);
    file_.read(bytes_.data() + before, static_cast<std::streamsize>(piece));
    if (file_.gcount() != static_cast<std::streamsize>(piece)) return false;
    read_ += static_cast<std::int64_t>(piece);
    if (on_bytes_) on_bytes_(static_cast<std::int64_t>(piece));
    count -= piece;
  }
  return true;
}

bool LedgerReader::read_head(std::uint64_t& length) {
  bytes_.clear();
  constexpr std::size_t kLongestVarint = 10;
  if (!read_bytes(1)) return false;
  if (!is_ledger_kind(bytes_.front())) {
    throw std::invalid_argument(place() + " has a kind that no record has: something was changed here or before");
  }
  record_.kind = static_cast<LedgerKind>(bytes_.front());
  for (std::size_t i = 0; i < kLongestVarint; ++i) {
    if (!read_bytes(1)) return false;
    if ((static_cast<unsigned char>(bytes_.back()) & 0x80U) != 0) continue;
    std::string_view stored = std::string_view(bytes_).substr(1);
    const auto value = take_varint(stored);
    if (value && *value <= kLargestRecord) {
      length = *value;
      return true;
    }
    break;
  }
  refuse("has a length over " + std::to_string(kLargestRecord) + ": something was changed here or before");
}

bool LedgerReader::next(LedgerRecord& record) {
  record_.offset = read_;
  ++record_.number;
  if (read_ == size_) return false;
  std::uint64_t length = 0;
  if (!read_head(length)) return end_inside();
  if (record_.kind == LedgerKind::kSeal && length != kSealBytes) {
    refuse("has " + std::to_string(length) + " bytes, expected " + std::to_string(kSealBytes));
  }
  const std::size_t head = bytes_.size();
  if (length > static_cast<std::uint64_t>(size_ - read_) || !read_bytes(length)) return end_inside();
  record_.content = std::string_view(bytes_).substr(head);
  if (record_.kind == LedgerKind::kSeal) {
    check_seal();
  } else {
    chain_.update(std::string_view(bytes_));
    if (record_.kind == LedgerKind::kStep) note_step();
  }
  record = record_;
  return true;
}

bool LedgerReader::end_inside() {
  is_cut_ = true;
  return false;
}

// For messages.
void LedgerReader::note_step() {
  std::string_view content = record_.content;
  const auto step = take_varint(content);
  if (!step) return;
  last_step_ = static_cast<std::int64_t>(*step);
  if (first_step_ < 0) first_step_ = last_step_;
}

void LedgerReader::check_seal() {
  chain_.update(std::string_view(bytes_).substr(0, bytes_.size() - kDigestSize));
  const Digest chain = std::exchange(chain_, Sha256()).finish();
  const std::string_view sealed = record_.content.substr(kDigestSize);
  if (byte_text(chain) != sealed) {
    std::string steps;
    if (first_step_ >= 0) {
      steps = ", steps " + std::to_string(first_step_ + 1) + " to " + std::to_string(last_step_ + 1);
    }
    refuse("does not fit records " + std::to_string(first_record_) + " to " + std::to_string(record_.number) + steps +
           ": their chain is " + hex_text(chain).substr(0, kShortDigest) + "..., the seal says " + short_text(sealed) +
           "...: one of them was changed, added, removed or moved");
  }
  chain_.update(std::as_bytes(std::span(chain)));
  sealed_before_ = std::exchange(sealed_, LedgerPosition{.bytes = read_, .chain = chain});
  first_record_ = record_.number + 1;
  first_step_ = last_step_ = -1;
}

std::string LedgerReader::place() const {
  return path_.string() + ": record " + std::to_string(record_.number) + " (byte " + std::to_string(record_.offset) +
         ")";
}

void LedgerReader::refuse(const std::string& what) const {
  throw std::invalid_argument(place() + ", " + kind_name(record_.kind) + ": " + what);
}

bool ledger_begins_with(const std::filesystem::path& path, const LedgerPosition& position) {
  try {
    LedgerReader reader(path);
    LedgerRecord record;
    while (reader.sealed().bytes < position.bytes && reader.next(record)) {
    }
    return reader.sealed() == position;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

}  // namespace equipoise
