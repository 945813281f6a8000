#include "coordinator/service/pooled_calls.h"

#include <grpcpp/support/slice.h>

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
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
  KeptBytes(std::atomic<std::size_t>& all, std::size_t own) : all_(all), own_(own), sum_(all += own) {}
  ~KeptBytes() { all_ -= own_; }
  KeptBytes(const KeptBytes&) = delete;
  KeptBytes& operator=(const KeptBytes&) = delete;
  bool is_too_much() const { return sum_ > kMostKeptBytes; }

 private:
  std::atomic<std::size_t>& all_;
  const std::size_t own_, sum_;
};

Digest digest_of(const char* method, const grpc::ByteBuffer& request) {
  Sha256 sha256;
  sha256.add_text(method);
  std::vector<grpc::Slice> slices;
  if (!request.Dump(&slices).ok()) throw std::invalid_argument("the request has no bytes");
  for (const grpc::Slice& slice : slices) sha256.update(std::as_bytes(std::span(slice.begin(), slice.size())));
  return sha256.finish();
}

}  // namespace

grpc::ByteBuffer bytes_of(const google::protobuf::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

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

PooledCalls::Batch PooledCalls::close(const Digest& key, const std::shared_ptr<Batch>& batch) const {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(key);
  if (found != open_.end() && found->second == batch) open_.erase(found);
  return std::move(*batch);
}

void PooledCalls::answer(const char* method, Batch batch, const std::function<grpc::ByteBuffer()>& make) const {
  grpc::ByteBuffer bytes;
  const grpc::Status status = boundary_.answer(method, [&] { bytes = make(); });
  for (std::size_t at = 0; at < batch.size(); ++at) {
    if (at > 0) boundary_.count(method, status);
    *batch[at].response = bytes;
    batch[at].reactor->Finish(status);
  }
}

grpc::ServerUnaryReactor* PooledCalls::serve_shared(grpc::CallbackServerContext& context, const char* method,
                                                    const grpc::ByteBuffer& request, grpc::ByteBuffer& response,
                                                    std::function<grpc::ByteBuffer()> make) const {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  const auto kept = std::make_shared<const KeptBytes>(bytes_, request.Length());
  std::shared_ptr<const AdmittedCall> call;  // counts until the answer is given
  std::string caller;
  Digest key{};
  const grpc::Status refusal = boundary_.let_in(method, [&] {
    call = boundary_.admit(context, method);
    check_size(request.Length());
    caller = caller_of(context, *call);
    key = digest_of(method, request);
    if (kept->is_too_much()) throw too_many_waiting(when_full_);
  });
  if (!refusal.ok()) {
    reactor->Finish(refusal);
    return reactor;
  }
  std::shared_ptr<Batch> batch;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Batch>& open = open_[key];
    const bool is_first = open == nullptr || open->size() >= kMostOfBatch;
    if (is_first) open = std::make_shared<Batch>();
    open->push_back({.reactor = reactor,
                     .response = &response,
                     .kept = std::make_shared<const std::pair<decltype(call), decltype(kept)>>(call, kept)});
    if (!is_first) return reactor;
    batch = open;
  }
  const bool is_taken = pool_.run(
      caller, [this, method, key, batch, make = std::move(make)] { answer(method, close(key, batch), make); });
  if (!is_taken) {
    answer(method, close(key, batch), [this]() -> grpc::ByteBuffer { throw too_many_waiting(when_full_); });
  }
  return reactor;
}

}  // namespace equipoise::coordinator
