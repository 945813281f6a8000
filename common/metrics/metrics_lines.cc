#include "common/metrics/metrics_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "common/base/bounded_file.h"
#include "common/base/descriptor.h"

namespace equipoise {
namespace {

constexpr std::size_t kFirstPart = std::size_t{16} << 10;  // of a line that is looked for
constexpr std::size_t kBlock = std::size_t{1} << 20;

using UseLine = std::function<void(std::string_view, MetricsLineKind)>;
using OnBytes = std::function<void(std::int64_t)>;

// Lines as their bytes come in.
class LineSplitter {
 public:
  LineSplitter(std::size_t longest, const UseLine& use) : longest_(longest), use_(use) {}

  // The first line that follows may be half a one.
  void skip_to_next() { is_skipping_ = true; }

  void add(std::string_view bytes) {
    for (std::size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
      finish(bytes.substr(0, end));
      bytes.remove_prefix(end + 1);
    }
    if (is_skipping_) return;
    if (rest_.size() + bytes.size() > longest_) {
      rest_.clear();
      is_skipping_ = true;
    } else {
      rest_ += bytes;
    }
  }

 private:
  void finish(std::string_view bytes) {
    if (is_skipping_) {
      is_skipping_ = false;
    } else if (rest_.empty()) {
      if (bytes.size() <= longest_) hand_out(bytes);
    } else {
      rest_ += bytes;
      if (rest_.size() <= longest_) hand_out(rest_);
    }
    rest_.clear();
  }
  void hand_out(std::string_view line) const {
    if (line.starts_with('{')) use_(line, kind_of_line(line));
  }

  const std::size_t longest_;
  const UseLine& use_;
  std::string rest_;
  bool is_skipping_ = false;
};

void read_part(int descriptor, std::uint64_t begin, std::uint64_t end, LineSplitter& lines, const OnBytes& on_bytes) {
  while (begin < end) {
    const std::string block =
        part_of_file(descriptor, begin, static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, end - begin)));
    if (block.empty()) return;
    lines.add(block);
    begin += block.size();
    if (on_bytes) on_bytes(static_cast<std::int64_t>(block.size()));
  }
}

void read_samples(int descriptor, std::uint64_t size, const ReadingLimits& limits, const UseLine& use,
                  const OnBytes& on_bytes) {
  const std::uint64_t first = std::min<std::uint64_t>(limits.beginning, size);
  const std::uint64_t last = std::max<std::uint64_t>(first, size - std::min<std::uint64_t>(limits.end, size));
  LineSplitter beginning(limits.longest_line, use);
  read_part(descriptor, 0, first, beginning, on_bytes);
  std::uint64_t read_until = first;  // where the next sample may begin
  std::size_t budget = limits.sampled;
  for (std::size_t at = 0; at < limits.samples; ++at) {
    const std::uint64_t wanted = first + (last - first) / std::max<std::size_t>(limits.samples, 1) * at;
    if (wanted < read_until) continue;
    const std::size_t before = budget;
    const FoundLine line = line_behind(descriptor, wanted, limits.longest_line, budget);
    if (on_bytes) on_bytes(static_cast<std::int64_t>(before - budget));
    if (line.text.empty()) continue;
    if (line.offset >= last) break;
    read_until = line.offset + line.text.size() + 1;
    if (line.text.starts_with('{')) use(line.text, kind_of_line(line.text));
  }
  LineSplitter end(limits.longest_line, use);
  if (last > 0 && read_until < last) end.skip_to_next();
  read_part(descriptor, std::max(last, read_until), size, end, on_bytes);
}

}  // namespace

MetricsLineKind kind_of_line(std::string_view line) {
  constexpr std::string_view kSplit = R"({"split":)";
  if (!line.starts_with(kSplit)) return line.starts_with('{') ? MetricsLineKind::kStep : MetricsLineKind::kOther;
  line.remove_prefix(kSplit.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (line.starts_with(R"("validation",)")) return MetricsLineKind::kEvaluation;
  if (line.starts_with(R"("validation/)")) return MetricsLineKind::kFileEvaluation;
  if (line.starts_with(R"("test",)")) return MetricsLineKind::kTest;
  return line.starts_with(R"("settings",)") ? MetricsLineKind::kSettings : MetricsLineKind::kOther;
}

FoundLine line_behind(int descriptor, std::uint64_t offset, std::size_t longest, std::size_t& budget) {
  for (std::size_t size = std::min(kFirstPart, longest * 2); size <= longest * 2; size *= 4) {
    if (size > budget) return {};
    budget -= size;
    const std::string part = part_of_file(descriptor, offset, size);
    const std::size_t begin = offset == 0 ? 0 : part.find('\n') + 1;  // npos + 1 is 0: no line begins in it
    if (begin != 0 || offset == 0) {
      const std::size_t end = part.find('\n', begin);
      if (end != std::string::npos) return {.offset = offset + begin, .text = part.substr(begin, end - begin)};
    }
    if (part.size() < size) return {};
  }
  return {};
}

ReadLines read_metrics_lines(const std::filesystem::path& file, const ReadingLimits& limits, const UseLine& use,
                             const OnBytes& on_bytes) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (descriptor.get() < 0) {
    throw std::invalid_argument(file.string() + ": " + std::generic_category().message(errno));
  }
  struct stat found {};
  if (::fstat(descriptor.get(), &found) != 0 || !S_ISREG(found.st_mode)) {
    throw std::invalid_argument(file.string() + ": is not a file");  // a pipe or a device could block or never end
  }
  ReadLines read{.bytes = static_cast<std::uint64_t>(found.st_size)};
  if (read.bytes > limits.whole) {
    read.is_sampled = true;
    read_samples(descriptor.get(), read.bytes, limits, use, on_bytes);
  } else {
    LineSplitter lines(limits.longest_line, use);
    read_part(descriptor.get(), 0, read.bytes, lines, on_bytes);
  }
  return read;
}

}  // namespace equipoise
