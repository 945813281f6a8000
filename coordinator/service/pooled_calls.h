// Unary calls that are answered on the threads of a pool: gRPC's own hand them over, and no call that waits has a
// thread. Calls that ask for the same at the same time get the same answer, which is made once.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/sha256.h"
#include "coordinator/job/refusal.h"
#include "coordinator/service/call_pool.h"
#include "coordinator/service/rpc_call.h"

namespace equipoise::coordinator {

// What people ask for is short: the largest, a job, has 256 KiB. Ranks report up to the server's 4 MiB. Throws Refusal
// kResourceExhausted.
void check_size(std::size_t bytes);

// Whose turns a call takes: those of a token, or of an address where nobody has one.
std::string caller_of(const RpcCall& call);

// What answers a call when too many wait already.
Refusal too_many_waiting(Refusal::Code code);

struct PooledWork {
  std::size_t bytes = 0;  // of the request, which is kept until it is answered
  // What can be checked at once, on gRPC's thread; whose turns the call takes.
  std::function<std::string(const AdmittedCall&)> enter;
  std::function<void(const AdmittedCall&)> body;  // makes the answer
};

// May be used from any thread.
class PooledCalls {
 public:
  // `pool` outlives it, and all calls. `when_full` answers a call when too many wait already, or too large ones.
  PooledCalls(CallPool& pool, Refusal::Code when_full) : pool_(pool), when_full_(when_full) {}

  // Finishes `call`. What `work` refers to lives until then.
  void serve(AnsweredCall& call, PooledWork work) const;
  // A call of people: check_size() and caller_of() let it in.
  void serve(AnsweredCall& call, const google::protobuf::Message& request,
             std::function<void(const AdmittedCall&)> body) const;

  // A call of people that changes nothing. `make` makes the answer after the call has come in, for all calls of its
  // method and caller with the same request that wait by then; it throws as a body does.
  void serve_shared(AnsweredCall& call, const google::protobuf::Message& request,
                    std::function<grpc::ByteBuffer()> make) const;

 private:
  struct Entered {
    std::string caller;                // whose turns it takes
    std::shared_ptr<const void> kept;  // until it is answered
  };
  // Nothing: it was refused, and is finished.
  std::optional<Entered> enter(AnsweredCall& call, std::size_t bytes,
                               const std::function<std::string(const AdmittedCall&)>& check) const;
  struct SharedCall {
    AnsweredCall* call;
    std::shared_ptr<const void> kept;  // until the call is answered
  };
  using Batch = std::vector<SharedCall>;
  // No call joins it any more. It has one at least.
  Batch close(const Digest& key, const std::shared_ptr<Batch>& batch) const;
  static void answer(const Batch& batch, const std::function<grpc::ByteBuffer()>& make);

  CallPool& pool_;
  const Refusal::Code when_full_;
  // Of all requests that are kept.
  const std::shared_ptr<std::atomic<std::size_t>> bytes_ = std::make_shared<std::atomic<std::size_t>>(0);
  mutable std::mutex mutex_;                               // guards the one below, and batches that are in it
  mutable std::map<Digest, std::shared_ptr<Batch>> open_;  // by method, caller and request
};

}  // namespace equipoise::coordinator
