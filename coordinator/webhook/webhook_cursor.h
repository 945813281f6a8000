// Up to which of its events each job's are delivered: a file that only grows, but for now and then, of lines
// "JOB REVISION". A line that is lost, as in a power cut, means that an event is sent once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace equipoise::coordinator {

using EventRevisions = std::map<std::string, std::int64_t>;  // by job

// Not thread-safe.
class WebhookCursor {
 public:
  // Reads `file`, if it is there. Otherwise it begins behind `newest`, what there is already: that is not sent.
  //   newest  event of each job that there is; what is known of other jobs, or of later events, is forgotten
  // Throws std::invalid_argument where the file has other lines. One that cannot be written, as on a full disk, is
  // known to this process alone, and the log says so.
  WebhookCursor(std::filesystem::path file, const EventRevisions& newest);

  // 0: none of the job's events is delivered.
  std::int64_t of(const std::string& job_id) const;
  // Delivered up to `revision`. Where that cannot be written it is known to this process alone, and the log says so
  // once.
  void advance(const std::string& job_id, std::int64_t revision);
  // Whether it is time to forget jobs that are gone: since the last call of keep() as many lines have come as are
  // needed for all jobs, and 1,000.
  bool has_grown() const;
  void keep(const EventRevisions& there);

 private:
  void read();
  void write_all();

  const std::filesystem::path file_;
  EventRevisions delivered_;
  std::size_t lines_ = 0;
  bool has_failed_ = false;
};

}  // namespace equipoise::coordinator
