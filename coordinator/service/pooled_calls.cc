#include "coordinator/service/pooled_calls.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kLargestRequest = 1024 * 1024;
constexpr std::size_t kMostKeptBytes = std::size_t{256} << 20;
constexpr std::size_t kMostOfBatch = 256;  // as long as a thread of the pool may need for one turn
constexpr std::chrono::seconds kSecond{1};

// Of one request among all that are kept.
class KeptBytes {
 public:
  KeptBytes(std::shared_ptr<std::atomic<std::size_t>> all, std::size_t own)
      : all_(std::move(all)), own_(own), sum_(*all_ += own) {}
  ~KeptBytes() { *all_ -= own_; }
  KeptBytes(const KeptBytes&) = delete;
  KeptBytes& operator=(const KeptBytes&) = delete;
  bool is_too_much() const { return sum_ > kMostKeptBytes; }

 private:
  const std::shared_ptr<std::atomic<std::size_t>> all_;  // a call may outlive the services
  const std::size_t own_, sum_;
};

// Of one caller: calls of others wait in turns of their own.
Digest digest_of(std::string_view method, std::string_view caller, const google::protobuf::Message& request) {
  Sha256 sha256;
  sha256.add_text(method);
  sha256.add_text(caller);
  sha256.update(request.SerializeAsString());
  return sha256.finish();
}

// As PooledWork::enter.
auto person_of(const RpcCall& call, std::size_t bytes) {
  return [&call, bytes](const AdmittedCall& /*admitted*/) {
    check_size(bytes);
    return caller_of(call);
  };
}

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

std::optional<PooledCalls::Entered> PooledCalls::enter(
    AnsweredCall& call, std::size_t bytes, const std::function<std::string(const AdmittedCall&)>& check) const {
  const auto kept = std::make_shared<const KeptBytes>(bytes_, bytes);
  Entered entered{.caller = {}, .kept = kept};
  const grpc::Status refusal = call.boundary().let_in(call.method(), [&] {
    entered.caller = check(call.admitted());
    if (kept->is_too_much()) throw too_many_waiting(when_full_);
  });
  if (refusal.ok()) return entered;
  call.finish(refusal);
  return std::nullopt;
}

void PooledCalls::serve(AnsweredCall& call, PooledWork work) const {
  const std::optional<Entered> entered = enter(call, work.bytes, work.enter);
  if (!entered) return;
  const bool is_taken = pool_.run(entered->caller, [&call, kept = entered->kept, body = std::move(work.body)] {
    call.finish(call.boundary().answer(call.method(), [&] { body(call.admitted()); }));
  });
  if (is_taken) return;
  call.finish(call.boundary().answer(call.method(), [this] { throw too_many_waiting(when_full_); }));
}

void PooledCalls::serve(AnsweredCall& call, const google::protobuf::Message& request,
                        std::function<void(const AdmittedCall&)> body) const {
  const std::size_t bytes = request.ByteSizeLong();
  serve(call, {.bytes = bytes, .enter = person_of(call, bytes), .body = std::move(body)});
}

PooledCalls::Batch PooledCalls::close(const Digest& key, const std::shared_ptr<Batch>& batch) const {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(key);
  if (found != open_.end() && found->second == batch) open_.erase(found);
  return std::move(*batch);
}

void PooledCalls::answer(const Batch& batch, const std::function<grpc::ByteBuffer()>& make) {
  const RpcBoundary& boundary = batch.front().call->boundary();
  const char* const method = batch.front().call->method();
  grpc::ByteBuffer bytes;
  const grpc::Status status = boundary.answer(method, [&] { bytes = make(); });
  for (std::size_t at = 0; at < batch.size(); ++at) {
    if (at > 0) boundary.count(method, status);
    batch[at].call->finish(status, bytes);
  }
}

void PooledCalls::serve_shared(AnsweredCall& call, const google::protobuf::Message& request,
                               std::function<grpc::ByteBuffer()> make) const {
  const std::size_t bytes = request.ByteSizeLong();
  const std::optional<Entered> entered = enter(call, bytes, person_of(call, bytes));
  if (!entered) return;
  const Digest key = digest_of(call.method(), entered->caller, request);
  std::shared_ptr<Batch> batch;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Batch>& open = open_[key];
    const bool is_first = open == nullptr || open->size() >= kMostOfBatch;
    if (is_first) open = std::make_shared<Batch>();
    open->push_back({.call = &call, .kept = entered->kept});
    if (!is_first) return;
    batch = open;
  }
  const bool is_taken =
      pool_.run(entered->caller, [this, key, batch, make = std::move(make)] { answer(close(key, batch), make); });
  if (is_taken) return;
  answer(close(key, batch), [this]() -> grpc::ByteBuffer { throw too_many_waiting(when_full_); });
}

}  // namespace equipoise::coordinator
