// What is on record of a job beside its steps: attempts, checkpoints and events, by page.
#pragma once

#include "coordinator/job/job_table.h"
#include "coordinator/job/page_tokens.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// One function for each RPC; the codes are those of training.proto, as std::invalid_argument, Refusal and StoreError.
// Not thread-safe.
class JobHistory {
 public:
  // `table` outlives it.
  explicit JobHistory(JobTable& table) : table_(table), tokens_(table.store().signing_key()) {}

  v1::ListAttemptsResponse attempts(const v1::ListAttemptsRequest& request);
  v1::ListCheckpointsResponse checkpoints(const v1::ListCheckpointsRequest& request);
  // Of a job that is there: the oldest `limit` after that revision.
  std::vector<v1::JobEvent> events_after(const std::string& job_id, std::int64_t revision, std::int64_t limit);
  v1::ListEventsResponse events(const v1::ListEventsRequest& request);

 private:
  v1::Attempt attempt_of(const JobRecord& record, const StoredAttempt& stored);

  JobTable& table_;
  const PageTokens tokens_;
};

}  // namespace equipoise::coordinator
