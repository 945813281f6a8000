#include "client/progress/read_progress.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "client/table/number_format.h"

namespace equipoise {
namespace {

constexpr std::chrono::seconds kQuietReading{2};
constexpr std::int64_t kWhole = 100;  // percent

}  // namespace

ReadProgress::ReadProgress(const Console& console, std::string label, std::int64_t total_bytes, SteadyTime start)
    : console_(console), label_(std::move(label)), total_bytes_(total_bytes), start_(start) {}

void ReadProgress::add(std::int64_t bytes, SteadyTime now) {
  bytes_ += bytes;
  if (!line_ && console_.kind == OutputKind::kTerminal && now - start_ > kQuietReading) {
    line_.emplace(console_, LastLine::kErase);
  }
  if (line_) line_->show(view(now), now);
}

void ReadProgress::note(const std::string& text) {
  if (line_) return line_->note(text);
  console_.out << text << std::endl;
}

ProgressView ReadProgress::view(SteadyTime now) const {
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double speed = seconds > 0 ? static_cast<double>(bytes_) / seconds : 0;
  // Files may have grown since their sizes were added up.
  const std::int64_t total = std::max({total_bytes_, bytes_, std::int64_t{1}});
  ProgressView view{.label = label_,
                    .activity = size_text(bytes_) + " of " + size_text(total) + "  " +
                                size_text(static_cast<std::int64_t>(speed)) + "/s",
                    .step = static_cast<std::int64_t>(static_cast<double>(bytes_) / static_cast<double>(total) *
                                                      static_cast<double>(kWhole)),
                    .total_steps = kWhole,
                    .pairs_per_second = {},
                    .time_left = {},
                    .loss = {},
                    .worst = {}};
  if (speed > 0) {
    view.time_left = std::chrono::seconds(static_cast<std::int64_t>(static_cast<double>(total - bytes_) / speed));
  }
  return view;
}

}  // namespace equipoise
