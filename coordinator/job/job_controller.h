// The coordinator's core: every decision, and no thread, socket or process. The same calls at the same times give the
// same answers.
#pragma once

#include "coordinator/job/attempt_supervisor.h"
#include "coordinator/job/entropy.h"
#include "coordinator/job/job_desk.h"
#include "coordinator/job/job_table.h"
#include "coordinator/job/output_folders.h"
#include "coordinator/job/rank_desk.h"
#include "coordinator/launch/launcher.h"
#include "coordinator/lifecycle/clock.h"

namespace equipoise::coordinator {

struct ControllerSettings {
  JobLimits limits;
  SupervisorSettings supervisor;
  OutputSettings outputs;
};

// What the core needs of the world; all of it outlives the core.
struct Surroundings {
  const Clock& clock;
  Entropy& entropy;
  JobStore& store;
  JobMetrics& metrics;
  Launcher& launcher;
};

// Not thread-safe.
class JobController {
 public:
  // Reads the jobs, and ends those whose attempt was lost with an earlier coordinator.
  JobController(const ControllerSettings& settings, const Surroundings& world)
      : table_(world.clock, world.store, world.metrics),
        outputs_(settings.outputs),
        attempts_(settings.supervisor, table_, outputs_, world.launcher, world.entropy),
        people_(settings.limits, table_, outputs_, attempts_, world.entropy),
        ranks_(table_, settings.supervisor.lease) {}

  JobDesk& people() { return people_; }
  RankDesk& ranks() { return ranks_; }
  AttemptSupervisor& attempts() { return attempts_; }

 private:
  JobTable table_;
  OutputFolders outputs_;
  AttemptSupervisor attempts_;
  JobDesk people_;
  RankDesk ranks_;
};

}  // namespace equipoise::coordinator
