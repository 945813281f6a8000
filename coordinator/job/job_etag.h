// The etag of a job: changes with what whoever wants to change the job should know of, and not with every step.
#pragma once

#include <cstdint>
#include <string>

#include "equipoise/v1/training.pb.h"

namespace equipoise::coordinator {

// What it changes with: the state, and the newest change of settings.
struct EtagBasis {
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  std::int32_t priority = 0;
  std::int64_t settings_version = 0;

  bool operator==(const EtagBasis&) const = default;
};

inline EtagBasis etag_basis(const v1::TrainingJob& job) {
  const int changes = job.settings_changes_size();
  return {.state = job.state(),
          .priority = job.priority(),
          .settings_version = changes == 0 ? 0 : job.settings_changes(changes - 1).version()};
}

// Of the revision at which the job became what it is: never used twice.
std::string etag_at(std::int64_t revision);

// After a change of the revision: a new etag where `before`, the basis until then, is another.
void renew_etag(const EtagBasis& before, v1::TrainingJob& job);

}  // namespace equipoise::coordinator
