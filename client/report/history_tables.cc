#include "client/report/history_tables.h"

#include <span>
#include <utility>
#include <vector>

#include "client/report/job_summary.h"
#include "client/report/state_color.h"
#include "client/table/display_width.h"
#include "client/table/number_format.h"
#include "client/table/text_table.h"
#include "common/base/sha256.h"
#include "common/protocol/job_state.h"

namespace equipoise {

namespace {

// "rank 1 on node2, signal 9, after step 41"; empty where nothing is known.
std::string failure_place(const v1::AttemptFailure& failure) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (failure.has_rank()) {
    add("rank " + std::to_string(failure.rank()) + (failure.host().empty() ? "" : " on " + printable(failure.host())));
  }
  if (failure.has_signal()) add("signal " + std::to_string(failure.signal()));
  if (failure.has_exit_code()) add("exit code " + std::to_string(failure.exit_code()));
  add("after step " + std::to_string(failure.step()));
  return text;
}

// Adds a column, or a cell of it, before the last one.
template <typename Value>
void insert_before_last(std::vector<Value>& values, Value value) {
  values.insert(values.end() - 1, std::move(value));
}

}  // namespace

std::string attempt_table(const v1::ListAttemptsResponse& list, Colors colors, Glyphs glyphs, TableDetail detail) {
  std::vector<Column> columns = {{"attempt", Align::kRight},
                                 {"ranks", Align::kRight},
                                 {"first step", Align::kRight},
                                 {"started"},
                                 {"ended"},
                                 {"why"}};
  const bool is_wide = detail == TableDetail::kWide;
  if (is_wide) insert_before_last(columns, Column{"failure"});
  TextTable table(std::move(columns));
  for (const v1::Attempt& attempt : list.attempts()) {
    std::vector<std::string> row = {std::to_string(attempt.generation()),
                                    attempt.world_size() > 0 ? std::to_string(attempt.world_size()) : "",
                                    std::to_string(attempt.start_step()),
                                    attempt.has_start_time() ? local_time(attempt.start_time()) : "",
                                    attempt.has_end_time() ? local_time(attempt.end_time()) : "",
                                    printable(attempt.end_reason())};
    if (is_wide) insert_before_last(row, attempt.has_failure() ? failure_place(attempt.failure()) : std::string());
    table.add_row(std::move(row));
  }
  return table.text(colors, glyphs);
}

std::string job_checkpoint_table(const v1::ListCheckpointsResponse& list, Colors colors, Glyphs glyphs,
                                 TableDetail detail) {
  std::vector<Column> columns = {
      {"step", Align::kRight}, {"attempt", Align::kRight}, {"size", Align::kRight}, {"created"}};
  const bool is_wide = detail == TableDetail::kWide;
  if (is_wide) columns.push_back({"SHA-256 of its manifest"});
  TextTable table(std::move(columns));
  for (const v1::Checkpoint& checkpoint : list.checkpoints()) {
    std::vector<std::string> row = {std::to_string(checkpoint.step()), std::to_string(checkpoint.generation()),
                                    size_text(checkpoint.bytes()), local_time(checkpoint.create_time())};
    if (is_wide) row.push_back(hex_text(std::as_bytes(std::span(checkpoint.manifest_digest()))));
    table.add_row(std::move(row));
  }
  return table.text(colors, glyphs);
}

std::string event_table(const v1::ListEventsResponse& list, Colors colors, Glyphs glyphs, TableDetail detail) {
  std::vector<Column> columns = {
      {"time"}, {"attempt", Align::kRight}, {"state", Align::kLeft, "", job_state_color}, {"why"}};
  const bool is_wide = detail == TableDetail::kWide;
  if (is_wide) insert_before_last(columns, Column{"revision", Align::kRight});
  TextTable table(std::move(columns));
  for (const v1::JobEvent& event : list.events()) {
    std::vector<std::string> row = {
        local_time(event.time()), event.generation() > 0 ? std::to_string(event.generation()) : "",
        event.state() == v1::JOB_STATE_UNSPECIFIED ? "" : state_name(event.state()), printable(event.text())};
    if (is_wide) insert_before_last(row, std::to_string(event.revision()));
    table.add_row(std::move(row));
  }
  return table.text(colors, glyphs);
}

}  // namespace equipoise
