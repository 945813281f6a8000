// Follows a job until it ends, shows it, and handles Ctrl-C.
#pragma once

#include <string>

#include "client/connection/connection.h"
#include "client/connection/job_inbox.h"
#include "client/console.h"
#include "client/exit_code.h"
#include "client/progress/progress_display.h"

namespace equipoise {

// What Ctrl-C means to the one who follows.
enum class OnInterrupt {
  kCancelJob,  // cancels the job and stays until it has ended; a second one leaves at once
  kLeave       // the job goes on without a watcher
};

struct FollowedJob {
  v1::TrainingJob job;  // as last seen
  bool interrupted = false;
};

// Returns when the job is in a final state, or earlier after an interrupt in `inbox`. Throws what Connection throws.
FollowedJob follow_job(Connection& connection, const std::string& id, ProgressDisplay& display, JobInbox& inbox,
                       OnInterrupt on_interrupt);

// The end of a command that followed a job: returns if it has succeeded; else throws CommandError with the code for
// the shell and a sentence, followed by `advice` if there is some.
void require_success(const FollowedJob& followed, const std::string& advice = "");

// Follows a job of a service, which goes on after Ctrl-C, and writes the table of its groups at the end. Throws as the
// two above.
void show_until_end(Connection& connection, const std::string& id, JobInbox& inbox, const Console& console);

}  // namespace equipoise
