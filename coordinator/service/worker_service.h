// WorkerService over gRPC. It unpacks, calls and packs, and decides nothing.
#pragma once

#include <string>

#include "coordinator/job/attempt_tokens.h"
#include "coordinator/service/call_table.h"
#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/shared_controller.h"
#include "equipoise/v1/worker.pb.h"

namespace equipoise::coordinator {

// However many ranks call, threads are those of one pool: they wait for the core one after the other in any case. Jobs
// take turns.
class WorkerService {
 public:
  // All outlive it.
  WorkerService(SharedController& shared, const AttemptTokens& tokens, CallGate& gate, JobMetrics& metrics);

  // It outlives the server.
  void add_to(CallTable& calls);

 private:
  // call(WorkerCalls&, const Request&) makes the answer where there is one, alone on the core. `token` is that of the
  // attempt, as the rank says; refused before anything is looked at where it is not.
  template <typename Request, typename Response, typename Call>
  void serve(UnaryCall<Request, Response>& rank, const std::string& token, Call call) const;
  // Of ranks that show the token with the call.
  template <typename Request, typename Response, typename Call>
  void add_signed(CallTable& calls, const char* method, Call call);

  SharedController& shared_;
  const AttemptTokens& tokens_;
  const RpcBoundary boundary_;
  CallPool pool_;
  const PooledCalls calls_;
};

}  // namespace equipoise::coordinator
