#include "coordinator/service/pooled_calls.h"

#include <cstddef>
#include <memory>

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kLargestRequest = 1024 * 1024;
constexpr std::size_t kMostKeptBytes = std::size_t{256} << 20;
constexpr std::chrono::seconds kSecond{1};

// Of one request among all that are kept.
class KeptBytes {
 public:
  KeptBytes(std::atomic<std::size_t>& all, std::size_t own) : all_(all), own_(own), sum_(all += own) {}
  ~KeptBytes() { all_ -= own_; }
  KeptBytes(const KeptBytes&) = delete;
  KeptBytes& operator=(const KeptBytes&) = delete;
  bool is_too_much() const { return sum_ > kMostKeptBytes; }

 private:
  std::atomic<std::size_t>& all_;
  const std::size_t own_, sum_;
};

}  // namespace

void check_size(std::size_t bytes) {
  if (bytes <= kLargestRequest) return;
  throw Refusal(Refusal::Code::kResourceExhausted, "the request has " + std::to_string(bytes) +
                                                       " bytes, expected at most " + std::to_string(kLargestRequest));
}

std::string caller_of(const RpcCall& call) {
  const std::string& name = call.admitted().name();
  const std::string peer = name.empty() ? call.context().peer() : "";
  return name + peer.substr(0, peer.rfind(':'));
}

Refusal too_many_waiting(Refusal::Code code) {
  return {code, ErrorReason::kLimitReached, "too many calls are waiting for an answer; try again later", kSecond};
}

void PooledCalls::serve(AnsweredCall& call, PooledWork work) const {
  const auto kept = std::make_shared<const KeptBytes>(bytes_, work.bytes);
  std::string caller;
  const grpc::Status refusal = call.boundary().let_in(call.method(), [&] {
    caller = work.enter(call.admitted());
    if (kept->is_too_much()) throw too_many_waiting(when_full_);
  });
  if (!refusal.ok()) return call.finish(refusal);
  const bool is_taken = pool_.run(caller, [&call, kept, body = std::move(work.body)] {
    call.finish(call.boundary().answer(call.method(), [&] { body(call.admitted()); }));
  });
  if (is_taken) return;
  call.finish(call.boundary().answer(call.method(), [this] { throw too_many_waiting(when_full_); }));
}

void PooledCalls::serve(AnsweredCall& call, const google::protobuf::Message& request,
                        std::function<void(const AdmittedCall&)> body) const {
  const std::size_t bytes = request.ByteSizeLong();
  const auto enter = [&call, bytes](const AdmittedCall& /*admitted*/) {
    check_size(bytes);
    return caller_of(call);
  };
  serve(call, {.bytes = bytes, .enter = enter, .body = std::move(body)});
}

}  // namespace equipoise::coordinator
