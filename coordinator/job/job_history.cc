#include "coordinator/job/job_history.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/message_text.h"
#include "common/protocol/job_state.h"

namespace equipoise::coordinator {
namespace {

using google::protobuf::util::TimeUtil;

constexpr PageSizes kHistoryPageSizes = {.absent = 100, .largest = 1000};

// Checkpoints by step, then generation, as one number; attempts are far fewer than 2^20.
constexpr std::int64_t kMostCheckpointGenerations = std::int64_t{1} << 20, kMostCheckpointSteps = std::int64_t{1} << 42;

std::int64_t checkpoint_position(const StoredCheckpoint& checkpoint) {
  const std::int64_t step = std::clamp<std::int64_t>(checkpoint.step, 0, kMostCheckpointSteps);
  return step * kMostCheckpointGenerations +
         std::clamp<std::int64_t>(checkpoint.generation, 0, kMostCheckpointGenerations - 1);
}

v1::Checkpoint shown_checkpoint(const StoredCheckpoint& stored) {
  v1::Checkpoint checkpoint;
  checkpoint.set_step(stored.step);
  checkpoint.set_generation(stored.generation);
  checkpoint.set_manifest_digest(stored.manifest_digest);
  checkpoint.set_bytes(stored.bytes);
  *checkpoint.mutable_create_time() = TimeUtil::SecondsToTimestamp(stored.created_at);
  return checkpoint;
}

// "RUNNING: rank 0 has started training".
v1::JobEvent shown_event(const StoredEvent& stored) {
  v1::JobEvent event;
  event.set_revision(stored.revision);
  *event.mutable_time() = TimeUtil::SecondsToTimestamp(stored.time);
  event.set_generation(stored.generation);
  event.set_text(utf8_text(stored.text));
  const std::size_t colon = stored.text.find(": ");
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  const bool is_state = stored.kind == kStateEvent && colon != std::string::npos;
  if (is_state && v1::JobState_Parse("JOB_STATE_" + stored.text.substr(0, colon), &state)) {
    event.set_state(state);
    event.set_text(utf8_text(stored.text.substr(colon + 2)));
  }
  return event;
}

}  // namespace

v1::Attempt JobHistory::attempt_of(const JobRecord& record, const StoredAttempt& stored) {
  v1::Attempt attempt;
  attempt.set_generation(stored.generation);
  if (stored.started_at > 0) *attempt.mutable_start_time() = TimeUtil::SecondsToTimestamp(stored.started_at);
  if (stored.ended_at > 0) *attempt.mutable_end_time() = TimeUtil::SecondsToTimestamp(stored.ended_at);
  attempt.set_start_step(stored.start_step.value_or(0));
  attempt.set_end_reason(utf8_text(stored.cause));
  if (const auto training = table_.store().training(record.job.id(), stored.generation)) {
    attempt.set_world_size(training->response.plan().world_size());
  } else if (stored.generation == record.job.generation()) {
    attempt.set_world_size(record.job.world_size());
  }
  // That of the newest one may not be stored yet.
  const bool is_newest = record.job.has_failure() && record.job.failure().generation() == stored.generation;
  if (is_newest) {
    *attempt.mutable_failure() = record.job.failure();
  } else if (stored.failure) {
    *attempt.mutable_failure() = *stored.failure;
  }
  return attempt;
}

v1::ListAttemptsResponse JobHistory::attempts(const v1::ListAttemptsRequest& request) {
  const int page_size = checked_page_size(request.page_size(), kHistoryPageSizes);
  const std::string list = "attempts " + request.id();
  const std::int64_t first = tokens_.position(list, request.page_token()).value_or(0);
  const JobRecord& record = table_.find(request.id());
  v1::ListAttemptsResponse response;
  for (const StoredAttempt& stored : table_.store().attempts(request.id())) {
    if (stored.generation < first) continue;
    if (response.attempts_size() == page_size) {
      response.set_next_page_token(tokens_.make(list, stored.generation));
      break;
    }
    *response.add_attempts() = attempt_of(record, stored);
  }
  return response;
}

v1::ListCheckpointsResponse JobHistory::checkpoints(const v1::ListCheckpointsRequest& request) {
  const int page_size = checked_page_size(request.page_size(), kHistoryPageSizes);
  const std::string list = "checkpoints " + request.id();
  const std::int64_t first = tokens_.position(list, request.page_token()).value_or(0);
  table_.find(request.id());
  v1::ListCheckpointsResponse response;
  for (const StoredCheckpoint& stored : table_.store().checkpoints(request.id())) {
    if (stored.state == "DELETED" || checkpoint_position(stored) < first) continue;
    if (response.checkpoints_size() == page_size) {
      response.set_next_page_token(tokens_.make(list, checkpoint_position(stored)));
      break;
    }
    *response.add_checkpoints() = shown_checkpoint(stored);
  }
  return response;
}

std::vector<v1::JobEvent> JobHistory::events_after(const std::string& job_id, std::int64_t revision,
                                                   std::int64_t limit) {
  std::vector<v1::JobEvent> events;
  for (const StoredEvent& stored : table_.store().events(job_id, revision, limit))
    events.push_back(shown_event(stored));
  return events;
}

v1::ListEventsResponse JobHistory::events(const v1::ListEventsRequest& request) {
  const int page_size = checked_page_size(request.page_size(), kHistoryPageSizes);
  const std::string list = "events " + request.id();
  const std::int64_t after = tokens_.position(list, request.page_token()).value_or(0);
  table_.find(request.id());
  std::vector<StoredEvent> stored = table_.store().events(request.id(), after, page_size + 1);
  v1::ListEventsResponse response;
  std::size_t shown = std::min(stored.size(), static_cast<std::size_t>(page_size));
  // A page does not end between events of one revision, unless it is of nothing else.
  const bool has_more = stored.size() > shown;
  while (has_more && shown > 1 && stored[shown - 1].revision == stored[shown].revision) --shown;
  for (std::size_t i = 0; i < shown; ++i) *response.add_events() = shown_event(stored[i]);
  if (has_more) response.set_next_page_token(tokens_.make(list, stored[shown - 1].revision));
  return response;
}

}  // namespace equipoise::coordinator
