// Calls of people that ask or change the core, as a service adds them: each waits for a thread of the pool, and is then
// alone on the core.
#pragma once

#include <string>
#include <type_traits>

#include "coordinator/service/call_table.h"
#include "coordinator/service/pooled_calls.h"
#include "coordinator/service/shared_controller.h"

namespace equipoise::coordinator {

class PeopleCalls {
 public:
  // All outlive the server; `table` has the calls that are added. `service` has its package before it.
  PeopleCalls(CallTable& table, std::string service, const RpcBoundary& boundary, const PooledCalls& pooled,
              SharedController& shared)
      : table_(table), service_(std::move(service)), boundary_(boundary), pooled_(pooled), shared_(shared) {}

  // call(JobController&, const Request&) makes the answer, and changes nothing.
  template <typename Request, typename Response, typename Call>
  void add_reader(const char* method, Call call) const {
    table_.add_unary<Request, Response>(
        service_, method, boundary_, [&pooled = pooled_, &shared = shared_, call](UnaryCall<Request, Response>& asked) {
          pooled.serve_shared(asked, asked.request, [&shared, call, &asked] {
            return bytes_of(shared.read([&](JobController& core) -> Response { return call(core, asked.request); }));
          });
        });
  }

  // call(JobController&, const Request&), or with the caller's name behind them, changes something, and makes the
  // answer.
  template <typename Request, typename Response, typename Call>
  void add_change(const char* method, Call call) const {
    table_.add_unary<Request, Response>(
        service_, method, boundary_, [&pooled = pooled_, &shared = shared_, call](UnaryCall<Request, Response>& asked) {
          pooled.serve(asked, asked.request, [&shared, call, &asked](const AdmittedCall& admitted) {
            asked.response = shared.run([&](JobController& core) -> Response {
              if constexpr (std::is_invocable_v<const Call&, JobController&, const Request&, const std::string&>) {
                return call(core, asked.request, admitted.name());
              } else {
                return call(core, asked.request);
              }
            });
            shared.wake();
          });
        });
  }

 private:
  CallTable& table_;
  const std::string service_;
  const RpcBoundary& boundary_;
  const PooledCalls& pooled_;
  SharedController& shared_;
};

}  // namespace equipoise::coordinator
