// What Open MPI says of itself when a launch or a rank fails, and which line of it names the cause.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace equipoise {

// How much a notice explains, from little to much.
enum class NoticeWeight {
  kConsequence,  // that something ended: "a process returned a non-zero exit code"
  kWarning,      // of what did not end anything
  kCause         // why it ended
};

struct MpirunNotice {
  NoticeWeight weight = NoticeWeight::kConsequence;
  std::string text;  // one line: the cause, where it is, and the next move if there is one
};

// The one line that a block stands for. `lines` are those between two frames (lines of dashes). A block that is not
// known is its first sentence, with the lines "Label: value" that follow it.
MpirunNotice read_notice(std::span<const std::string_view> lines);

// The rank that ended first by itself, as Open MPI says it: the others it ended because of that one.
struct RankEnd {
  int rank = 0;
  std::string host = {};              // empty: not said
  std::optional<int> signal = {};     // that ended it
  std::optional<int> exit_code = {};  // else
};

// Of all that mpirun wrote; nullopt where it does not say so.
std::optional<RankEnd> first_rank_end(std::string_view log);

// A line that ssh or the shell of another host wrote, with what it means where it does not say so; any other line as it
// is.
std::string explained_line(std::string_view line);

// Whether Open MPI wrote the line outside of its blocks: counts, signals, stack traces and its own error log
// ("[host:pid] ..."), none of which says what to do.
bool is_mpirun_log_line(std::string_view line);
// Such a line that comes of a full file system. Ranks may run all the same.
bool is_disk_full_line(std::string_view line);

}  // namespace equipoise
