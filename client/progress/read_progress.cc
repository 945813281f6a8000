#include "client/progress/read_progress.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "client/table/number_format.h"

namespace equipoise {
namespace {

constexpr std::chrono::seconds kQuietWork{2};
constexpr std::int64_t kWhole = 100;  // percent

ProgressView share_view(const std::string& label, const std::string& activity, double share,
                        std::chrono::duration<double> taken) {
  return {.label = label,
          .activity = activity,
          .step = static_cast<std::int64_t>(share * static_cast<double>(kWhole)),
          .total_steps = kWhole,
          .pairs_per_second = {},
          .time_left = time_left_of(share, taken),
          .loss = {},
          .worst = {}};
}

}  // namespace

std::optional<std::chrono::seconds> time_left_of(double share_done, std::chrono::duration<double> taken) {
  if (!(share_done > 0) || taken.count() <= 0) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::seconds>(taken * ((1 - share_done) / share_done));
}

void LateLine::show(const ProgressView& view, SteadyTime now) {
  if (!line_ && console_.kind == OutputKind::kTerminal && now - start_ > kQuietWork) {
    line_.emplace(console_, LastLine::kErase);
  }
  if (line_) line_->show(view, now);
}

void LateLine::note(const std::string& text) {
  if (line_) return line_->note(text);
  console_.out << text << std::endl;
}

ReadProgress::ReadProgress(const Console& console, std::string label, std::int64_t total_bytes, SteadyTime start)
    : line_(console, start), label_(std::move(label)), total_bytes_(total_bytes), start_(start) {}

void ReadProgress::add(std::int64_t bytes, SteadyTime now) {
  bytes_ += bytes;
  line_.show(view(now), now);
}

ProgressView ReadProgress::view(SteadyTime now) const {
  const std::chrono::duration<double> taken = now - start_;
  const double speed = taken.count() > 0 ? static_cast<double>(bytes_) / taken.count() : 0;
  // Files may have grown since their sizes were added up.
  const std::int64_t total = std::max({total_bytes_, bytes_, std::int64_t{1}});
  return share_view(
      label_, size_text(bytes_) + " of " + size_text(total) + "  " + size_text(static_cast<std::int64_t>(speed)) + "/s",
      static_cast<double>(bytes_) / static_cast<double>(total), taken);
}

void PartProgress::show(const std::string& part, double share, SteadyTime now) {
  if (part != part_) {
    part_ = part;
    part_start_ = now;
  }
  line_.show(share_view(label_, part, std::clamp(share, 0.0, 1.0), now - part_start_), now);
}

}  // namespace equipoise
