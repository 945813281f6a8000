#include "coordinator/job/attempt_tokens.h"

#include <mutex>
#include <span>

#include "common/base/message_text.h"
#include "common/base/sha256.h"
#include "coordinator/job/random_source.h"
#include "coordinator/job/refusal.h"

namespace equipoise::coordinator {

std::string token_digest(std::string_view token) { return byte_text(sha256_of(std::as_bytes(std::span(token)))); }

void AttemptTokens::set_digest(const std::string& job_id, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  digests_.insert_or_assign(job_id, digest);
}

void AttemptTokens::erase(const std::string& job_id) {
  const std::lock_guard lock(mutex_);
  digests_.erase(job_id);
}

void AttemptTokens::check_stranger(const std::string& job_id, std::string_view token) const {
  const std::string digest = token_digest(token);
  {
    const std::shared_lock lock(mutex_);
    const auto known = digests_.find(job_id);
    if (known != digests_.end() && !known->second.empty() && equal_secrets(known->second, digest)) return;
  }
  throw Refusal(Refusal::Code::kPermissionDenied,
                "the attempt token is not that of a live attempt of job " + quoted_text(job_id) +
                    "; ranks of a job that the coordinator does not launch show a user's token");
}

}  // namespace equipoise::coordinator
