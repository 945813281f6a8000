// The lines of a run's metrics.jsonl by what they are of, and bounded ways to read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace equipoise {

enum class MetricsLineKind { kStep, kEvaluation, kFileEvaluation, kTest, kSettings, kOther };

// By the beginning of the line, which lines of runs have in the order of the schema.
MetricsLineKind kind_of_line(std::string_view line);

struct FoundLine {
  std::uint64_t offset = 0;
  std::string text;  // without its end; empty: none was found
};
// The first whole line that begins at or behind `offset`; none where it is longer than `longest`, or more than `budget`
// bytes would be read, from which what was read is taken.
FoundLine line_behind(int descriptor, std::uint64_t offset, std::size_t longest, std::size_t& budget);

// How much is read of a file.
struct ReadingLimits {
  std::uint64_t whole = std::uint64_t{2} << 30;      // a larger one is read in samples
  std::size_t sampled = std::size_t{512} << 20;      // bytes of all samples
  std::size_t samples = 400;                         // lines, beside those of the beginning and of the end
  std::size_t longest_line = std::size_t{64} << 20;  // longer ones are left out
  std::size_t beginning = std::size_t{16} << 20;     // of a file that is sampled, read whole
  std::size_t end = std::size_t{64} << 20;           // the same
};

struct ReadLines {
  std::uint64_t bytes = 0;  // of the file
  bool is_sampled = false;  // lines between those that were handed out are missing
};

// Hands out lines in the order of the file, each once and without its end; what has no end yet is left out. Throws
// std::invalid_argument "FILE: ..." where it cannot be read or is no file.
//   on_bytes  bytes read since the call before
ReadLines read_metrics_lines(const std::filesystem::path& file, const ReadingLimits& limits,
                             const std::function<void(std::string_view line, MetricsLineKind kind)>& use,
                             const std::function<void(std::int64_t)>& on_bytes = {});

}  // namespace equipoise
