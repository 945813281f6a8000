// equipoise-coordinator --check and --quarantine: which jobs of a state folder that nobody serves cannot be loaded.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "coordinator/lifecycle/clock.h"
#include "coordinator/store/job_store.h"

namespace equipoise::coordinator {

struct DamagedJob {
  v1::TrainingJob job;  // what can be read of it
  std::string why;
};

struct StateAudit {
  std::size_t jobs = 0;
  std::vector<DamagedJob> damaged;
  std::vector<DamagedJob> set_aside;     // by an earlier quarantine(); not looked at again
  std::vector<std::string> file_faults;  // what SQLite finds wrong with the database, and what cannot be read for it
};

// Reads every row of every job, and changes nothing. Throws StoreError where the database cannot be read now.
StateAudit audit_state(JobStore& store);

// Sets the damaged jobs aside: what was stored of them stays, and a record that says so takes the place of theirs.
// Tables with damaged pages are made anew, and kept under another name: a sentence for each.
std::vector<std::string> quarantine(JobStore& store, const StateAudit& audit, WallTime now);

}  // namespace equipoise::coordinator
