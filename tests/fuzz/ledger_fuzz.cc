// A run's ledger. No random change keeps its chain: where that is what is wrong, the same records are read with the
// right one too.
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/ledger/ledger_reader.h"
#include "common/ledger/ledger_replay.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/hostile_input.h"

namespace equipoise {
namespace {

constexpr std::int64_t kSmallestHead = 2;                   // kind and length
constexpr std::size_t kLongestText = std::size_t{1} << 16;  // of a record that is written again

template <class Record>
void promise_same_text(const Record& record, Record (*read)(std::string_view), std::size_t size) {
  if (size > kLongestText) return;
  const std::string text = record_text(record);
  promise(record_text(read(text)) == text, "a record that is written and read again is the same");
}

// As `equipoise verify` reads it.
class FuzzedLedger {
 public:
  void read(const std::filesystem::path& file, std::size_t size) {
    LedgerReader reader(file);
    LedgerRecord record;
    std::int64_t number = 0, end = std::ssize(kLedgerMagic);
    while (reader.next(record)) {
      promise(record.number == ++number && record.offset >= end, "records follow each other");
      end = record.offset + std::ssize(record.content) + kSmallestHead;
      promise(end <= static_cast<std::int64_t>(size), "records are in the file");
      take(record);
    }
    promise(reader.sealed().bytes <= static_cast<std::int64_t>(size), "what is sealed is in the file");
    if (reader.is_cut()) throw std::invalid_argument("it ends inside of a record");
  }

 private:
  LedgerReplay& replay() {
    if (!replay_) throw std::invalid_argument("comes before the first attempt");
    return *replay_;
  }

  void take(const LedgerRecord& record) {
    const std::size_t size = record.content.size();
    switch (record.kind) {
      case LedgerKind::kStart:
        start_ = start_of_record(record.content);
        return promise_same_text(start_, start_of_record, size);
      case LedgerKind::kAttempt:
        return take_attempt(attempt_of_record(record.content), size);
      case LedgerKind::kStep:
        return replay().step(step_of_bytes(record.content));
      case LedgerKind::kBlock: {
        const LedgerBlock block = block_of_record(record.content);
        promise_same_text(block, block_of_record, size);
        return replay().block(block);
      }
      case LedgerKind::kSettings: {
        const LedgerSettings settings = settings_of_record(record.content);
        promise_same_text(settings, settings_of_record, size);
        return replay().change(settings);
      }
      case LedgerKind::kCheckpoint:
        return promise_same_text(checkpoint_of_record(record.content), checkpoint_of_record, size);
      case LedgerKind::kEnd:
        return promise_same_text(end_of_record(record.content), end_of_record, size);
      case LedgerKind::kSeal:
        if (replay_) replay_->take_weights_digest();
        return;
    }
  }

  void take_attempt(const LedgerAttempt& attempt, std::size_t size) {
    promise_same_text(attempt, attempt_of_record, size);
    if (!replay_) replay_.emplace(start_, config_of_job(attempt.job).robust);
    promise(replay_->alpha_K().size() == start_.group_names.size(), "every group has a weight");
  }

  LedgerStart start_;
  std::optional<LedgerReplay> replay_;
};

// With the chain of its records in its seals.
std::string with_chain(std::string_view bytes) {
  constexpr std::size_t kDigestBytes = 32;
  if (!bytes.starts_with(kLedgerMagic)) return std::string(bytes);
  std::string sealed(kLedgerMagic);
  Digest before = sha256_of(std::as_bytes(std::span(kLedgerMagic)));
  std::size_t hashed = sealed.size();
  std::string_view rest = bytes.substr(kLedgerMagic.size());
  while (rest.size() > 1) {
    std::string_view content = rest.substr(1);
    const auto length = take_varint(content);
    if (!length || *length > content.size()) break;
    const std::size_t size = rest.size() - content.size() + *length;
    sealed += rest.substr(0, size);
    if (rest.front() == static_cast<char>(LedgerKind::kSeal) && *length == kSealBytes) {
      sealed.resize(sealed.size() - kDigestBytes);
      Sha256 chain;
      chain.update(std::as_bytes(std::span(before)));
      chain.update(std::string_view(sealed).substr(hashed));
      before = chain.finish();
      sealed += byte_text(before);
      hashed = sealed.size();
    }
    rest.remove_prefix(size);
  }
  return sealed += rest;
}

bool is_ledger(std::span<const std::uint8_t> bytes) {
  const MemoryFile file(bytes);
  return accepts([&] { FuzzedLedger().read(file.path(), bytes.size()); });
}

}  // namespace

bool fuzz_ledger(std::span<const std::uint8_t> input) {
  if (is_ledger(input)) return true;
  const std::string sealed = with_chain({reinterpret_cast<const char*>(input.data()), input.size()});
  return is_ledger({reinterpret_cast<const std::uint8_t*>(sealed.data()), sealed.size()});
}

}  // namespace equipoise
