// What people ask about hosts: which there are, and which are left out.
#pragma once

#include <string>

#include "coordinator/job/answered_requests.h"
#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/job_table.h"
#include "coordinator/job/page_tokens.h"
#include "equipoise/v1/host.pb.h"

namespace equipoise::coordinator {

// One function for each RPC of HostService; the codes are those of host.proto, as std::invalid_argument, Refusal and
// StoreError. Which jobs start, or do not, is the supervisor's next tick(). Not thread-safe.
class HostCalls {
 public:
  // Both outlive it.
  HostCalls(JobTable& table, AttemptSupervisor& supervisor);

  v1::ListHostsResponse list(const v1::ListHostsRequest& request);
  v1::Host cordon(const v1::CordonHostRequest& request);
  v1::Host uncordon(const v1::UncordonHostRequest& request);

 private:
  // Throws Refusal kNotFound.
  HostView find(const std::string& name) const;
  // The answer to a request that was answered before.
  v1::Host again(const std::string& name) const;

  JobTable& table_;
  AttemptSupervisor& supervisor_;
  AnsweredRequests requests_;
  const PageTokens tokens_;
};

}  // namespace equipoise::coordinator
