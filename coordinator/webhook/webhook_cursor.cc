#include "coordinator/webhook/webhook_cursor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "common/base/durable_file.h"

namespace equipoise::coordinator {
namespace {

constexpr const char* kFirstLine = "equipoise webhook cursor 1";
constexpr std::size_t kLinesBetween = 1000;

std::string cursor_line(const std::string& job_id, std::int64_t revision) {
  return job_id + " " + std::to_string(revision) + "\n";
}

}  // namespace

WebhookCursor::WebhookCursor(std::filesystem::path file, const EventRevisions& newest) : file_(std::move(file)) {
  if (std::filesystem::exists(file_)) {
    read();
  } else {
    delivered_ = newest;
  }
  remove_abandoned(file_);
  keep(newest);
}

void WebhookCursor::read() {
  std::ifstream stream(file_);
  std::string line;
  if (!std::getline(stream, line) || line != kFirstLine) {
    throw std::invalid_argument(file_.string() + " does not begin with \"" + kFirstLine +
                                "\"; move it away, and events are sent from now on");
  }
  while (std::getline(stream, line)) {
    const std::size_t blank = line.find(' ');
    std::int64_t revision = 0;
    const char* const end = line.data() + line.size();
    const bool has_number = blank != std::string::npos &&
                            std::from_chars(line.data() + blank + 1, end, revision).ptr == end &&
                            blank + 1 < line.size();
    // What a crash has cut off is the last line, and has no end. Of a number that is cut off less is delivered.
    if (!has_number || stream.eof()) continue;
    auto& known = delivered_[line.substr(0, blank)];
    known = std::max(known, revision);
  }
}

void WebhookCursor::write_all() {
  std::string text = std::string(kFirstLine) + "\n";
  for (const auto& [job_id, revision] : delivered_) text += cursor_line(job_id, revision);
  write_durably(file_, text);
  lines_ = 0;
}

std::int64_t WebhookCursor::of(const std::string& job_id) const {
  const auto known = delivered_.find(job_id);
  return known == delivered_.end() ? 0 : known->second;
}

void WebhookCursor::advance(const std::string& job_id, std::int64_t revision) {
  delivered_[job_id] = revision;
  std::ofstream stream(file_, std::ios::app);
  stream << cursor_line(job_id, revision) << std::flush;
  ++lines_;
  if (stream || std::exchange(has_failed_, true)) return;
  spdlog::warn("{} cannot be written: after a restart events are sent again that were delivered since", file_.string());
}

bool WebhookCursor::has_grown() const { return lines_ > kLinesBetween + delivered_.size(); }

void WebhookCursor::keep(const EventRevisions& there) {
  std::erase_if(delivered_, [&](const auto& entry) { return !there.contains(entry.first); });
  // A damaged number, or the database is one of before, from a backup: none of the events to come is delivered yet.
  for (auto& [job_id, revision] : delivered_) revision = std::min(revision, there.at(job_id));
  try {
    write_all();
    has_failed_ = false;
  } catch (const std::exception& failure) {  // as on a full disk; the lines that are there say the same
    lines_ = 0;
    if (!std::exchange(has_failed_, true)) spdlog::warn("{} cannot be written: {}", file_.string(), failure.what());
  }
}

}  // namespace equipoise::coordinator
