#include "client/connection/follow_job.h"

#include "client/connection/job_stream.h"
#include "client/report/data_notes.h"
#include "client/report/group_table.h"

namespace equipoise {
namespace {

// Without an update, how often the display may show that time passes.
constexpr std::chrono::milliseconds kFollowPoll{500};

// Whether to go on following.
bool handle_interrupt(Connection& connection, const std::string& id, ProgressDisplay& display, OnInterrupt on_interrupt,
                      int interrupts) {
  if (on_interrupt == OnInterrupt::kLeave || interrupts > 1) return false;
  if (connection.cancel_unless_ended(id)) display.note("cancelling; press Ctrl-C again to leave at once");
  return true;
}

void show_new_conditions(const v1::TrainingJob& before, const v1::TrainingJob& now, ProgressDisplay& display) {
  // At most 16 are kept, so a full list is compared by its newest.
  const int known = before.conditions_size();
  if (now.conditions_size() == 0) return;
  if (now.conditions_size() > known) {
    for (int i = known; i < now.conditions_size(); ++i) display.note(now.conditions(i));
  } else if (now.conditions(now.conditions_size() - 1) != before.conditions(known - 1)) {
    display.note(now.conditions(now.conditions_size() - 1));
  }
}

}  // namespace

FollowedJob follow_job(Connection& connection, const std::string& id, ProgressDisplay& display, JobInbox& inbox,
                       OnInterrupt on_interrupt) {
  FollowedJob followed;
  const JobStream stream(connection, id, inbox);
  int handled_interrupts = 0;
  while (true) {
    const JobInbox::Update update = inbox.wait(kFollowPoll);
    if (update.job) {
      display.show(*update.job, std::chrono::steady_clock::now());
      show_new_conditions(followed.job, *update.job, display);
      followed.job = *update.job;
    }
    if (update.ended && !update.job) break;
    if (update.interrupts == handled_interrupts) continue;
    handled_interrupts = update.interrupts;
    followed.interrupted = true;
    if (!handle_interrupt(connection, id, display, on_interrupt, handled_interrupts)) break;
  }
  display.finish();
  return followed;
}

void require_success(const FollowedJob& followed, const std::string& advice) {
  const v1::TrainingJob& job = followed.job;
  const std::string tail = advice.empty() ? "" : "; " + advice;
  const std::string reason = job.state_reason().empty() ? "no reason given" : job.state_reason();
  switch (job.state()) {
    case v1::JOB_STATE_SUCCEEDED:
      return;
    case v1::JOB_STATE_FAILED:
      throw CommandError(
          job.failure_kind() == v1::FAILURE_KIND_INVALID_INPUT ? ExitCode::kBadInput : ExitCode::kFailure,
          reason + tail);
    case v1::JOB_STATE_CANCELLED:
      if (followed.interrupted) throw CommandError(ExitCode::kInterrupted, "cancelled");
      throw CommandError(ExitCode::kFailure, "the job was cancelled: " + reason);
    default:
      throw CommandError(ExitCode::kInterrupted, "interrupted; the job " + job.id() + " is not at its end");
  }
}

void show_until_end(Connection& connection, const std::string& id, JobInbox& inbox, const Console& console) {
  const auto display = make_display(console);
  const FollowedJob followed = follow_job(connection, id, *display, inbox, OnInterrupt::kLeave);
  require_success(followed);
  console.out << "\n" << group_table(followed.job, console.colors, console.glyphs);
  console.out << data_notes(followed.job.spec().output());  // of a coordinator elsewhere only with a shared folder
}

}  // namespace equipoise
