// Why a group's weight moved: the step that moved it most, the steps around, and the pairs that the loss sums came
// from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/metrics/run_file.h"
#include "common/robust/shares_file.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

struct MoveQuery {
  std::string group;
  std::int64_t from = 0, to = 0;  // steps done: steps from + 1 to `to` are looked at
};

// pair_shares.bin of a run, as far as there is one.
struct RunSharesFile {
  std::optional<SharesReader> reader;
  std::string why_not;
};
RunSharesFile run_shares_file(const std::filesystem::path& output, const MayRead& may_read);

// The same query, or of more than kMostHistorySteps steps the one of them that the file, at most its newest 4096 blocks
// of them, says has moved the group most; the newest ones where it says nothing.
inline constexpr std::int64_t kMostHistorySteps = 400;
MoveQuery narrowed(MoveQuery query, const RunSharesFile& file);

// Which records the answer is made of: `first` counts from 0, as they do.
struct HistoryRange {
  std::int64_t first = 0;
  int steps = 0;
};
HistoryRange history_range(const MoveQuery& query);

// JSON, as docs/reference/http.md has it. `query` is narrowed, and `history` of its range. Throws std::invalid_argument
// where the run has groups, and none of that name.
std::string moves_json(const MoveQuery& query, const v1::ListGroupWeightsResponse& history, const RunSharesFile& file);

}  // namespace equipoise::coordinator
