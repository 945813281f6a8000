// TrainingJobService over gRPC. It unpacks, calls and packs, and decides nothing.
#pragma once

#include <string>

#include "coordinator/service/call_pool.h"
#include "coordinator/service/call_table.h"
#include "coordinator/service/file_pool.h"
#include "coordinator/service/people_calls.h"
#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

class TrainingJobService {
 public:
  // All outlive it; `files` is stopped before it goes.
  TrainingJobService(SharedController& shared, FilePool& files, CallGate& gate, JobMetrics& metrics);

  // Of people's calls, which the other services of people share.
  CallPool& pool() { return pool_; }

  // It outlives the server.
  void add_to(CallTable& calls);

 private:
  static void add_readers(const PeopleCalls& people);
  static void add_changes(const PeopleCalls& people);
  // Of a call that makes a job: on a thread for files, and on the core in between.
  template <typename Request>
  void add_making(CallTable& calls, const char* method);

  SharedController& shared_;
  const RpcBoundary boundary_;
  CallPool pool_;
  const PooledCalls calls_;
  FilePool& files_;
};

}  // namespace equipoise::coordinator
