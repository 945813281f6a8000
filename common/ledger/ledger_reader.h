// Reads a ledger from its beginning and checks the chain of its seals.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include "common/ledger/ledger_record.h"

namespace equipoise {

struct LedgerRecord {
  std::int64_t number = 0;  // from 1
  std::int64_t offset = 0;  // of its first byte in the file
  LedgerKind kind = LedgerKind::kStart;
  std::string_view content;  // until the next record is read
};

// Memory is bounded by the largest record, whatever the file says. Not thread-safe.
class LedgerReader {
 public:
  // Throws std::invalid_argument "FILE: ..." where it cannot be read or is no ledger.
  //   on_bytes  bytes read since the call before
  explicit LedgerReader(const std::filesystem::path& path, std::function<void(std::int64_t)> on_bytes = {});

  // False at the end of the file. Throws std::invalid_argument "FILE: record N (byte OFFSET): ..." for what is no
  // record, and at a seal where a byte since the seal before is not what was sealed.
  bool next(LedgerRecord& record);

  // The newest seal that was read.
  const LedgerPosition& sealed() const { return sealed_; }
  const LedgerPosition& sealed_before() const { return sealed_before_; }  // the one before it
  // Where next() has returned false: whether the file ends inside of a record, as after a crash.
  bool is_cut() const { return is_cut_; }
  // Throws std::invalid_argument "FILE: record N (byte OFFSET), KIND: WHAT" of the record that was read last.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  bool read_head(std::uint64_t& length);
  bool read_bytes(std::size_t count);
  bool end_inside();
  void check_seal();
  void note_step();
  std::string place() const;

  const std::filesystem::path path_;
  std::ifstream file_;
  std::function<void(std::int64_t)> on_bytes_;
  std::int64_t size_ = 0;
  std::int64_t read_ = 0;
  std::string bytes_;  // of the record that was read last
  LedgerRecord record_;
  Sha256 chain_;
  LedgerPosition sealed_, sealed_before_;
  bool is_cut_ = false;
  // Since the newest seal.
  std::int64_t first_record_ = 1;
  std::int64_t first_step_ = -1, last_step_ = -1;
};

// Whether the file begins with just that position, sealed.
bool ledger_begins_with(const std::filesystem::path& path, const LedgerPosition& position);

}  // namespace equipoise
