// pair_shares.bin of a run, and pair_shares.index beside it (docs/formats.md): of blocks of steps, each group's step
// that moved its weight most, with the pairs that its loss sum came from. While there is room every step is a block of
// its own.
//
// Room is `budget` bytes for both files: half of it at once, a 64th more whenever the steps double; one block has room
// in any case. A block ends with the first step after which it and another one would have room, however large. So the
// files grow with the logarithm of the steps, nothing is ever taken out, and what a step's block is depends on the
// blocks before it alone: a run that goes on from a checkpoint cuts the files off there and writes the same bytes
// again.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/descriptor.h"
#include "common/base/disk_fault.h"
#include "common/robust/pair_shares.h"

namespace equipoise {

inline constexpr const char* kSharesName = "pair_shares.bin";
inline constexpr const char* kSharesIndexName = "pair_shares.index";

// What the places and groups of a file mean.
struct SharesHeader {
  std::int64_t budget = 0;          // bytes of both files, at most
  std::vector<std::string> groups;  // [K]
  std::vector<std::string> files;   // of training, as the job names them
  bool operator==(const SharesHeader&) const = default;
};

// Steps from first to last, counted from 1, and of each group that was in one of their batches the step of its largest
// move: |alpha_after - alpha_before|, of equal ones the first.
struct SharesBlock {
  std::int64_t first = 0, last = 0;
  std::vector<GroupShares> groups;  // ascending
};

// Bytes of both files that may be taken after so many steps.
std::int64_t shares_room(std::int64_t budget, std::int64_t steps);

// Not thread-safe. All throw std::runtime_error naming the file where the disk refuses.
class SharesWriter {
 public:
  // Goes on behind `steps` steps, where the files in the folder are of the same header; else they begin anew. All throw
  // as throw_write_fault().
  SharesWriter(const std::filesystem::path& folder, SharesHeader header, std::int64_t steps);

  // Who waits for room on the disk from now on; without, nobody.
  void set_patience(DiskPatience patience) { patience_ = std::move(patience); }

  // The step that follows the last one: groups ascending, as in SharesBlock.
  void add(std::int64_t step, std::vector<GroupShares> groups);
  // The open block too is in the file, as far as it goes. By itself once a second.
  void write_open();
  std::int64_t bytes() const;  // of both files, with the open block as it was last written

 private:
  void begin_anew(const std::string& header);
  bool go_on(const std::string& header, std::int64_t steps);
  void close_if_room();
  bool has_room(std::int64_t offset, std::int64_t blocks, std::int64_t steps) const;

  const SharesHeader header_;
  DiskPatience patience_;
  Descriptor data_, index_;
  std::filesystem::path path_;
  std::int64_t blocks_ = 0;   // closed
  std::int64_t offset_ = 0;   // where the open block begins
  std::int64_t written_ = 0;  // bytes of it in the file
  std::int64_t first_ = 1, last_ = 0;
  std::map<std::uint32_t, GroupShares> open_;
  bool is_changed_ = false;
  std::chrono::steady_clock::time_point written_at_;
};

// Reads a file that may be written meanwhile. Reads a few KiB for each answer beside the header.
class SharesReader {
 public:
  // Nothing where there is none, or none that can be read: `why` says which.
  static std::optional<SharesReader> open(const std::filesystem::path& folder, std::string& why);
  // Of files that somebody has opened; takes them.
  static std::optional<SharesReader> of(std::unique_ptr<Descriptor> data, std::unique_ptr<Descriptor> index,
                                        std::string& why);

  const SharesHeader& header() const { return header_; }
  std::int64_t blocks() const { return blocks_; }
  // Of the block that has the step; -1: none has.
  std::int64_t find(std::int64_t step) const;
  // Nothing of one that is not whole, as its writer was ended or the disk has changed it.
  std::optional<SharesBlock> block(std::int64_t number) const;

 private:
  SharesReader(std::unique_ptr<Descriptor> data, std::unique_ptr<Descriptor> index, SharesHeader header,
               std::int64_t blocks);
  std::unique_ptr<Descriptor> data_, index_;
  SharesHeader header_;
  std::int64_t blocks_ = 0;
};

}  // namespace equipoise
