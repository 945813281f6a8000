// A call that changes something, made again with the same request id, gets its first answer and changes nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "coordinator/job/job_table.h"
#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// Not thread-safe.
class AnsweredRequests {
 public:
  // `table` outlives it.
  explicit AnsweredRequests(JobTable& table) : table_(table) {}

  // What `call` answers to `request` of RPC `method`, or what it answered first. The answer is kept in the transaction
  // of the job that the call stores, or after it where it stores none. Throws std::invalid_argument for a request id
  // that is too long, Refusal kInvalidArgument REQUEST_ID_REUSED for one of another request, Refusal kAborted
  // ETAG_MISMATCH where the job has another etag than the request asks for; and what `call` throws, which is not kept:
  // whoever asks again then tries again.
  template <typename Request>
  v1::TrainingJob once(const char* method, const Request& request, const std::function<v1::TrainingJob()>& call) {
    return with_spec(request, answer(asked_by(method, request, call)));
  }
  // What once() would answer without a call; nullopt: it takes one. Throws as once() does before that.
  template <typename Request>
  std::optional<v1::TrainingJob> first_answer(const char* method, const Request& request) {
    auto first = earlier(asked_by(method, request, {}));
    if (first) first = with_spec(request, *std::move(first));
    return first;
  }

  // Of a call that changes no job: whether it was answered before. The other one is to be kept with what it changes;
  // nullopt: it has no request id. Throws as once().
  struct OtherRequest {
    bool is_answered = false;
    std::optional<AnsweredRequest> to_keep;
  };
  template <typename Request>
  OtherRequest other(const char* method, const Request& request) {
    return other(request.request_id(), digest_of(method, request));
  }

 private:
  struct Call {
    std::string request_id, digest;
    std::string id;       // of the job that it changes; empty: it makes one
    std::string etag;     // that a job must have; empty: any
    std::string etag_id;  // which one
    std::function<v1::TrainingJob()> call;
    bool is_kept = true;
  };
  template <typename Request>
  static Call asked_by(const char* method, const Request& request, const std::function<v1::TrainingJob()>& call) {
    Call asked{.request_id = request.request_id(), .digest = {}, .id = {}, .etag = {}, .etag_id = {}, .call = call};
    if constexpr (requires { request.validate_only(); }) {
      // The digest of a create request has always been that of its spec, which is all that most have.
      asked.digest = request.settings_changes().empty() ? digest_of("", request.spec()) : digest_of(method, request);
      asked.is_kept = !request.validate_only();
    } else {
      asked.digest = digest_of(method, request);
      asked.id = request.id();
    }
    if constexpr (requires { request.etag(); }) {
      asked.etag = request.etag();
      asked.etag_id = request.id();
    }
    if constexpr (requires { request.spec(); }) asked.id.clear();  // it makes a job
    return asked;
  }
  template <typename Request>
  static v1::TrainingJob with_spec(const Request& request, v1::TrainingJob answered) {
    if constexpr (requires { request.validate_only(); }) {
      if (!answered.has_spec()) *answered.mutable_spec() = request.spec();  // the job is deleted
    }
    return answered;
  }
  static std::string digest_of(const std::string& method, const google::protobuf::Message& request);
  OtherRequest other(const std::string& request_id, const std::string& digest);
  std::optional<v1::TrainingJob> earlier(const Call& asked);
  v1::TrainingJob answer(const Call& asked);
  v1::TrainingJob made_answer(const Call& asked);
  void check_etag(const Call& asked);

  JobTable& table_;
};

}  // namespace equipoise::coordinator
