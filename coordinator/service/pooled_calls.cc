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

std::string caller_of(const grpc::CallbackServerContext& context, const AdmittedCall& call) {
  const std::string peer = call.name().empty() ? context.peer() : "";
  return call.name() + peer.substr(0, peer.rfind(':'));
}

Refusal too_many_waiting(Refusal::Code code) {
  return {code, ErrorReason::kLimitReached, "too many calls are waiting for an answer; try again later", kSecond};
}

grpc::ServerUnaryReactor* PooledCalls::serve(grpc::CallbackServerContext& context, const char* method,
                                             PooledWork work) const {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  std::shared_ptr<const AdmittedCall> call;  // counts until the answer is given
  const auto kept = std::make_shared<const KeptBytes>(bytes_, work.bytes);
  std::string caller;
  const grpc::Status refusal = boundary_.let_in(method, [&] {
    call = boundary_.admit(context, method);
    caller = work.enter(*call);
    if (kept->is_too_much()) throw too_many_waiting(when_full_);
  });
  if (!refusal.ok()) {
    reactor->Finish(refusal);
    return reactor;
  }
  const bool is_taken = pool_.run(caller, [this, reactor, method, call, kept, body = std::move(work.body)] {
    reactor->Finish(boundary_.answer(method, [&] { body(*call); }));
  });
  if (!is_taken) {
    reactor->Finish(boundary_.answer(method, [this] { throw too_many_waiting(when_full_); }));
  }
  return reactor;
}

grpc::ServerUnaryReactor* PooledCalls::serve(grpc::CallbackServerContext& context, const char* method,
                                             const google::protobuf::Message& request,
                                             std::function<void(const AdmittedCall&)> body) const {
  const std::size_t bytes = request.ByteSizeLong();
  const auto enter = [&context, bytes](const AdmittedCall& call) {
    check_size(bytes);
    return caller_of(context, call);
  };
  return serve(context, method, {.bytes = bytes, .enter = enter, .body = std::move(body)});
}

}  // namespace equipoise::coordinator
