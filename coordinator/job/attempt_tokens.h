// The tokens of the attempts that the coordinator has launched, for a look from any thread: who shows a wrong one waits
// for nobody, and nobody for him.
#pragma once

#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace equipoise::coordinator {

// SHA-256 of a token, or of what stands for one, 32 bytes: what is kept of it.
std::string token_digest(std::string_view token);

// May be used from any thread.
class AttemptTokens {
 public:
  // token_digest() of the newest attempt of a job, before it has a process.
  void set_digest(const std::string& job_id, const std::string& digest);
  void erase(const std::string& job_id);

  // Of a rank that has shown no token of a user where the service wants one: throws Refusal kPermissionDenied unless
  // the coordinator launched the job and `token` is that of its newest attempt. Whether there is such a job is not
  // told.
  void check_stranger(const std::string& job_id, std::string_view token) const;

 private:
  mutable std::shared_mutex mutex_;                       // guards the one below
  std::unordered_map<std::string, std::string> digests_;  // by job
};

}  // namespace equipoise::coordinator
