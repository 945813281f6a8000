#include "coordinator/job/answered_requests.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>

#include "common/base/sha256.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {
namespace {

constexpr std::size_t kLongestRequestId = 64;

void check_request_id(const std::string& request_id) {
  if (request_id.size() <= kLongestRequestId) return;
  throw std::invalid_argument("request_id has " + std::to_string(request_id.size()) + " bytes, expected at most " +
                              std::to_string(kLongestRequestId));
}

void check_is_same(const AnsweredRequest& earlier, const std::string& digest) {
  if (earlier.digest == digest) return;
  const std::string of_job = earlier.answer.id().empty() ? "" : " (job " + earlier.answer.id() + ")";
  throw Refusal(Refusal::Code::kInvalidArgument, ErrorReason::kRequestIdReused,
                "request_id \"" + earlier.request_id + "\" was used for another request" + of_job + "; use a new one");
}

}  // namespace

// Of the message's bytes in an order that does not depend on how a map was filled.
std::string AnsweredRequests::digest_of(const std::string& method, const google::protobuf::Message& request) {
  std::string bytes = method;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&coded);
  }
  return byte_text(sha256_of(std::as_bytes(std::span(bytes))));
}

AnsweredRequests::OtherRequest AnsweredRequests::other(const std::string& request_id, const std::string& digest) {
  check_request_id(request_id);
  if (request_id.empty()) return {};
  if (const auto earlier = table_.store().answered_request(request_id)) {
    check_is_same(*earlier, digest);
    return {.is_answered = true, .to_keep = std::nullopt};
  }
  return {.is_answered = false, .to_keep = AnsweredRequest{.request_id = request_id, .digest = digest, .answer = {}}};
}

std::optional<v1::TrainingJob> AnsweredRequests::earlier(const Call& asked) {
  check_request_id(asked.request_id);
  auto earlier = asked.request_id.empty() ? std::nullopt : table_.store().answered_request(asked.request_id);
  if (!earlier) {
    check_etag(asked);
    return std::nullopt;
  }
  check_is_same(*earlier, asked.digest);
  v1::TrainingJob& first = earlier->answer;
  // Stored without: it is most of the bytes, and never changes.
  if (table_.contains(first.id())) *first.mutable_spec() = table_.find(first.id()).job.spec();
  return std::move(first);
}

v1::TrainingJob AnsweredRequests::answer(const Call& asked) {
  if (auto first = earlier(asked)) return *std::move(first);
  return asked.is_kept && !asked.request_id.empty() ? made_answer(asked) : asked.call();
}

v1::TrainingJob AnsweredRequests::made_answer(const Call& asked) {
  JobStore& store = table_.store();
  const CarriedRequest carried(store, {.request_id = asked.request_id, .digest = asked.digest, .job_id = asked.id});
  v1::TrainingJob answer = asked.call();
  if (!store.answered_request(asked.request_id)) {
    store.keep_request({.request_id = asked.request_id, .digest = asked.digest, .answer = answer});
  }
  return answer;
}

void AnsweredRequests::check_etag(const Call& asked) {
  if (asked.etag.empty()) return;
  const v1::TrainingJob& job = table_.find(asked.etag_id).job;
  if (job.etag() == asked.etag) return;
  throw Refusal(Refusal::Code::kAborted, ErrorReason::kEtagMismatch,
                "job " + job.id() + " has etag \"" + job.etag() + "\", not \"" + asked.etag.substr(0, 80) +
                    "\": its state or settings have changed since it was read; read it again");
}

}  // namespace equipoise::coordinator
