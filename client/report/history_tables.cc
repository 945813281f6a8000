#include "client/report/history_tables.h"

#include "client/report/job_summary.h"
#include "client/table/display_width.h"
#include "client/table/number_format.h"
#include "client/table/text_table.h"
#include "common/protocol/job_state.h"

namespace equipoise {

std::string attempt_table(const v1::ListAttemptsResponse& list, Colors colors, Glyphs glyphs) {
  TextTable table({{"attempt", Align::kRight},
                   {"ranks", Align::kRight},
                   {"first step", Align::kRight},
                   {"started"},
                   {"ended"},
                   {"why"}});
  for (const v1::Attempt& attempt : list.attempts()) {
    table.add_row(
        {std::to_string(attempt.generation()), attempt.world_size() > 0 ? std::to_string(attempt.world_size()) : "",
         std::to_string(attempt.start_step()), attempt.has_start_time() ? local_time(attempt.start_time()) : "",
         attempt.has_end_time() ? local_time(attempt.end_time()) : "", printable(attempt.end_reason())});
  }
  return table.text(colors, glyphs);
}

std::string job_checkpoint_table(const v1::ListCheckpointsResponse& list, Colors colors, Glyphs glyphs) {
  TextTable table({{"step", Align::kRight}, {"attempt", Align::kRight}, {"size", Align::kRight}, {"created"}});
  for (const v1::Checkpoint& checkpoint : list.checkpoints()) {
    table.add_row({std::to_string(checkpoint.step()), std::to_string(checkpoint.generation()),
                   size_text(checkpoint.bytes()), local_time(checkpoint.create_time())});
  }
  return table.text(colors, glyphs);
}

std::string event_table(const v1::ListEventsResponse& list, Colors colors, Glyphs glyphs) {
  TextTable table({{"time"}, {"attempt", Align::kRight}, {"state"}, {"why"}});
  for (const v1::JobEvent& event : list.events()) {
    table.add_row({local_time(event.time()), event.generation() > 0 ? std::to_string(event.generation()) : "",
                   event.state() == v1::JOB_STATE_UNSPECIFIED ? "" : state_name(event.state()),
                   printable(event.text())});
  }
  return table.text(colors, glyphs);
}

}  // namespace equipoise
