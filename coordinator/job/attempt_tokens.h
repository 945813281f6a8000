// The tokens of the attempts that the coordinator has launched, for a look from any thread: who shows a wrong one waits
// for nobody, and nobody for him.
#pragma once

#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace equipoise::coordinator {

// May be used from any thread.
class AttemptTokens {
 public:
  // Of the newest attempt of a job, before it has a process.
  void set(const std::string& job_id, std::string_view token);
  // The same of one whose token an earlier coordinator made: its SHA-256, 32 bytes.
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
