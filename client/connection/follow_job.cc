#include "client/connection/follow_job.h"

#include <utility>

#include "client/report/group_tables.h"
#include "client/report/job_summary.h"
#include "common/protocol/job_state.h"

namespace equipoise {
namespace {

constexpr std::chrono::milliseconds kBetweenAttempts{250};

}  // namespace

JobStream::JobStream(Connection& connection, std::string id, JobInbox& inbox)
    : connection_(connection), id_(std::move(id)), inbox_(inbox), last_update_(std::chrono::steady_clock::now()) {
  reader_ = std::thread([this] { run(); });
}

JobStream::~JobStream() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (context_) context_->TryCancel();
  }
  stop_requested_.notify_one();
  reader_.join();
}

bool JobStream::stopped_within(std::chrono::milliseconds pause) {
  std::unique_lock lock(mutex_);
  return stop_requested_.wait_for(lock, pause, [this] { return stopping_; });
}

void JobStream::run() {
  while (true) {
    const grpc::Status status = read_until_break();
    if (job_ended_) return inbox_.end();
    const bool may_reconnect = status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE;
    const bool is_in_time = std::chrono::steady_clock::now() - last_update_ < connection_.address().timeout;
    if (stopped_within(kBetweenAttempts)) return;
    if (may_reconnect && is_in_time) continue;
    const grpc::Status cause =
        status.ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream ended before the job did") : status;
    // An exception of this thread belongs to the thread that reads the inbox.
    try {
      connection_.check(cause);
    } catch (...) {
      return inbox_.fail(std::current_exception());
    }
  }
}

grpc::Status JobStream::read_until_break() {
  std::unique_ptr<grpc::ClientReader<v1::TrainingJob>> reader;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return grpc::Status::CANCELLED;
    context_ = std::make_unique<grpc::ClientContext>();
    reader = connection_.watch_job(*context_, id_);
  }
  v1::TrainingJob job;
  while (reader->Read(&job)) {
    last_update_ = std::chrono::steady_clock::now();
    job_ended_ = is_final(job.state());
    inbox_.put(job);
  }
  return reader->Finish();
}

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
