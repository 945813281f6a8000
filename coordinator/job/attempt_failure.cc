#include "coordinator/job/attempt_failure.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/base/message_text.h"
#include "coordinator/job/job_progress.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kMostLines = 20, kLongestQuotedLine = 512, kMostBytes = 4096;
constexpr std::size_t kLongestFailureReason = 4096;
constexpr std::size_t kLongestHostOfMpirun = 255;

std::string harmless(const std::string& text, std::size_t longest) { return one_line(utf8_text(text), longest); }

// The beginning of a line, of which no character is cut in two.
std::string beginning_of(std::string_view line) {
  if (line.size() <= kLongestQuotedLine) return std::string(line);
  const auto is_inside = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; };
  std::size_t end = kLongestQuotedLine;
  while (end > 0 && is_inside(line[end])) --end;
  return std::string(line.substr(0, end));
}

bool is_frame(std::string_view line) { return line.find_first_not_of("- \t\r") == std::string_view::npos; }

// Of "2026-01-31T12:00:00.000Z info equipoise-worker[PID]: ...".
std::optional<std::int64_t> logger_of(std::string_view line) {
  constexpr std::string_view kProgram = " equipoise-worker[";
  const std::size_t at = line.find(kProgram);
  if (at == std::string_view::npos || line.size() < 24 || line[10] != 'T') return std::nullopt;
  const char* const begin = line.data() + at + kProgram.size();
  std::int64_t pid = 0;
  const auto [end, error] = std::from_chars(begin, line.data() + line.size(), pid);
  return error == std::errc() ? std::optional(pid) : std::nullopt;
}

std::set<std::int64_t> processes_but(std::optional<int> rank, const AttemptRanks& ranks) {
  std::set<std::int64_t> processes;
  if (!rank || ranks.members == nullptr) return processes;
  for (auto each = ranks.members->next_rank(0); each; each = ranks.members->next_rank(*each + 1)) {
    if (*each != *rank) processes.insert(ranks.members->view(*each, SteadyTime{}).process.pid);
  }
  // Of a process of the same number on another host.
  if (ranks.members->has(*rank)) processes.erase(ranks.members->view(*rank, SteadyTime{}).process.pid);
  return processes;
}

void set_rank(v1::AttemptFailure& failure, int rank, const AttemptRanks& ranks) {
  failure.set_rank(rank);
  failure.set_host(host_of_rank(ranks.hosts, rank));
  failure.set_phase(v1::RANK_PHASE_UNSPECIFIED);
  failure.clear_last_collective();
  if (ranks.members == nullptr || !ranks.members->has(rank)) return;
  const RankView view = ranks.members->view(rank, SteadyTime{});
  failure.set_host(view.process.host);
  failure.set_phase(view.report.phase);
  failure.set_step(std::max(failure.step(), view.report.step));
  failure.set_last_collective(view.report.last_collective);
}

}  // namespace

v1::AttemptFailure attempt_failure(const FailureFacts& facts, const AttemptRanks& ranks) {
  v1::AttemptFailure failure;
  failure.set_generation(facts.generation);
  *failure.mutable_time() = timestamp(facts.time);
  failure.set_kind(facts.kind);
  failure.set_reason(harmless(facts.reason, kLongestFailureReason));
  failure.set_step(facts.step);
  if (facts.rank) set_rank(failure, *facts.rank, ranks);
  if (facts.signal) failure.set_signal(*facts.signal);
  if (facts.exit_code) failure.set_exit_code(*facts.exit_code);
  return failure;
}

bool complete_failure(v1::AttemptFailure& failure, const LaunchExit& exit, bool was_asked_to_end,
                      const AttemptRanks& ranks) {
  const std::string before = failure.SerializeAsString();
  if (exit.first_end && !was_asked_to_end) {
    const RankEnd& end = *exit.first_end;
    const bool is_other = !failure.has_rank() || failure.rank() != end.rank;
    // What a rank says of its own input or program is the cause, whichever rank Open MPI saw end first.
    const bool was_lost = failure.kind() == v1::FAILURE_KIND_INFRASTRUCTURE;
    if (is_other && (!failure.has_rank() || (was_lost && end.signal))) {
      set_rank(failure, end.rank, ranks);
      if (failure.host().empty()) failure.set_host(harmless(end.host, kLongestHostOfMpirun));
    }
    if (failure.rank() == end.rank && end.signal) failure.set_signal(*end.signal);
    if (failure.rank() == end.rank && end.exit_code) failure.set_exit_code(*end.exit_code);
  }
  if (failure.log_lines().empty()) {
    const auto rank = failure.has_rank() ? std::optional<int>(failure.rank()) : std::nullopt;
    for (std::string& line : newest_log_lines(exit.log, processes_but(rank, ranks))) {
      failure.add_log_lines(std::move(line));
    }
  }
  return failure.SerializeAsString() != before;
}

std::vector<std::string> newest_log_lines(std::string_view log, const std::set<std::int64_t>& others) {
  std::vector<std::string> lines;
  std::size_t bytes = 0;
  while (!log.empty() && lines.size() < kMostLines) {
    if (log.back() == '\n') log.remove_suffix(1);
    const std::size_t begin = log.rfind('\n') == std::string_view::npos ? 0 : log.rfind('\n') + 1;
    const std::string_view line = log.substr(begin);
    log.remove_suffix(log.size() - begin);
    const auto logger = logger_of(line);
    if (is_frame(line) || (logger && others.contains(*logger))) continue;
    std::string text = harmless(beginning_of(line), kLongestQuotedLine);
    bytes += text.size();
    if (bytes > kMostBytes) break;
    lines.push_back(std::move(text));
  }
  std::ranges::reverse(lines);
  return lines;
}

}  // namespace equipoise::coordinator
