#include "client/connection/follow_job.h"

#include <csignal>
#include <utility>

#include "client/table/display_width.h"
#include "common/protocol/job_state.h"
#include "common/protocol/reconnection.h"

namespace equipoise {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBetweenAttempts{250};
// A coordinator that is started again is back sooner.
constexpr std::chrono::seconds kQuietAbsence{2};

}  // namespace

void Absence::has_contact(SteadyTime now) {
  last_contact_ = now;
  is_told_ = false;
}

bool Absence::must_be_told(SteadyTime now) {
  if (is_told_ || now - last_contact_ <= kQuietAbsence) return false;
  is_told_ = true;
  return true;
}

JobStream::JobStream(Connection& connection, std::string id, JobInbox& inbox)
    : connection_(connection),
      id_(std::move(id)),
      inbox_(inbox),
      absence_(connection.address().timeout, SteadyClock::now()) {
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
  // An exception of this thread belongs to the thread that reads the inbox.
  try {
    follow();
  } catch (...) {
    inbox_.fail(std::current_exception());
  }
}

void JobStream::follow() {
  while (true) {
    const grpc::Status status = read_until_break();
    if (job_ended_) return inbox_.end();
    if (!may_open_again(status)) return;
  }
}

// False: nobody follows any more.
bool JobStream::may_open_again(const grpc::Status& status) {
  const grpc::Status cause =
      status.ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream ended before the job did") : status;
  do {
    if (stopped_within(kBetweenAttempts)) return false;
    const bool may_come_back = was_cut_off(cause.error_code(), cause.error_details());
    if (!may_come_back || absence_.is_too_long(SteadyClock::now())) connection_.check(cause);  // throws
    if (absence_.must_be_told(SteadyClock::now())) {
      inbox_.note("waiting for the coordinator at " + connection_.address().host_port + " ...");
    }
  } while (!connection_.is_connected(kBetweenAttempts));
  return true;
}

grpc::Status JobStream::read_until_break() {
  std::unique_ptr<grpc::ClientReader<v1::TrainingJob>> reader;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return grpc::Status::CANCELLED;
    context_ = std::make_unique<grpc::ClientContext>();
    reader = connection_.watch_job(*context_, id_, seen_revision_);
  }
  await_contact(*reader);
  read(*reader);
  return reader->Finish();
}

// The coordinator says that the stream is open before there is anything new.
void JobStream::await_contact(grpc::ClientReader<v1::TrainingJob>& reader) {
  reader.WaitForInitialMetadata();
  has_contact_ = context_->GetServerInitialMetadata().contains(kWatchOpenMetadata);
  if (has_contact_) absence_.has_contact(SteadyClock::now());
}

void JobStream::read(grpc::ClientReader<v1::TrainingJob>& reader) {
  v1::TrainingJob job;
  while (reader.Read(&job)) {
    has_contact_ = true;
    absence_.has_contact(SteadyClock::now());
    if (job.revision() == seen_revision_) continue;
    seen_revision_ = job.revision();
    job_ended_ = is_final(job.state());
    inbox_.put(job);
  }
  if (has_contact_) absence_.has_contact(SteadyClock::now());
}

namespace {

// Without an update, how often the display may show that time passes.
constexpr std::chrono::milliseconds kFollowPoll{500};

// What the one who follows does about interrupts.
class InterruptHandler {
 public:
  InterruptHandler(Connection& connection, const std::string& id, ProgressDisplay& display, OnInterrupt on_interrupt)
      : connection_(connection), id_(id), display_(display), on_interrupt_(on_interrupt) {}

  // Whether to go on following.
  bool handle(const JobInbox::Update& update) {
    if (update.interrupts == handled_) return true;
    const bool is_first = handled_ == 0;
    handled_ = update.interrupts;
    if (on_interrupt_ == OnInterrupt::kLeave) return false;
    // Batch systems may send it more than once, and so do a terminal and its shell when they go.
    const bool is_to_leave = update.last_signal == SIGTERM || update.last_signal == SIGHUP;
    if (is_to_leave && (is_first || paused_)) {
      if (is_first) pause();
      return true;
    }
    if (update.interrupts > 1 && !paused_) return false;
    cancel();
    return true;
  }

  // After a change of the job. Whether it has left, as it was asked to.
  bool has_left(const v1::TrainingJob& job) {
    if (!paused_ || job.revision() < paused_->revision()) return false;
    // The checkpoint could not be written: whoever asked will not wait for another one.
    if (job.state() == v1::JOB_STATE_RUNNING) cancel();
    return job.state() == v1::JOB_STATE_PAUSED;
  }
  bool was_interrupted() const { return handled_ > 0; }

 private:
  void pause() {
    paused_ = connection_.pause_unless_ended(id_);
    if (paused_) display_.note("leaving with a checkpoint; Ctrl-C cancels");
  }
  void cancel() {
    paused_.reset();
    if (connection_.cancel_unless_ended(id_)) display_.note("cancelling; press Ctrl-C again to leave at once");
  }

  Connection& connection_;
  const std::string& id_;
  ProgressDisplay& display_;
  const OnInterrupt on_interrupt_;
  int handled_ = 0;
  std::optional<v1::TrainingJob> paused_;  // as it was when it was asked to leave, and is to do so
};

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

// Why its ranks are started again, or not at all. The job as it was seen first may be there already.
void show_interruption(const v1::TrainingJob& before, const v1::TrainingJob& now, ProgressDisplay& display) {
  const bool is_told = before.state() == now.state() && before.state_reason() == now.state_reason();
  if (is_told || now.state_reason().empty()) return;
  if (now.state() == v1::JOB_STATE_RECOVERING) display.note("recovering: " + printable(now.state_reason()));
  if (now.state() == v1::JOB_STATE_PAUSED) display.note(printable(now.state_reason()));
}

}  // namespace

FollowedJob follow_job(Connection& connection, const std::string& id, ProgressDisplay& display, JobInbox& inbox,
                       OnInterrupt on_interrupt, const JobCondition& is_reached) {
  FollowedJob followed;
  InterruptHandler interrupts(connection, id, display, on_interrupt);
  const JobStream stream(connection, id, inbox);
  while (true) {
    const JobInbox::Update update = inbox.wait(kFollowPoll);
    for (const std::string& note : update.notes) display.note(note);
    if (update.job) {
      display.show(*update.job, std::chrono::steady_clock::now());
      show_interruption(followed.job, *update.job, display);
      show_new_conditions(followed.job, *update.job, display);
      followed.job = *update.job;
    }
    if (update.ended && !update.job) break;
    if (update.job && (interrupts.has_left(*update.job) || (is_reached && is_reached(*update.job)))) break;
    if (!interrupts.handle(update)) break;
  }
  followed.interrupted = interrupts.was_interrupted();
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
    case v1::JOB_STATE_PAUSED:
      throw CommandError(ExitCode::kInterrupted, followed.interrupted ? "interrupted; " + reason : reason);
    default:
      throw CommandError(ExitCode::kInterrupted, "interrupted; the job " + job.id() + " is not at its end");
  }
}

void follow_until(Connection& connection, const std::string& id, JobInbox& inbox, const Console& console,
                  const JobCondition& is_reached) {
  const auto display = make_display(console);
  const FollowedJob followed = follow_job(connection, id, *display, inbox, OnInterrupt::kLeave, is_reached);
  if (is_reached(followed.job)) return;
  if (followed.interrupted) {
    throw CommandError(ExitCode::kInterrupted, "interrupted; what was asked for goes on without this command");
  }
  throw CommandError(ExitCode::kFailure,
                     "the job is " + state_name(followed.job.state()) + ": " + followed.job.state_reason());
}

FollowedJob follow_until_end(Connection& connection, const std::string& id, JobInbox& inbox, const Console& console) {
  const auto display = make_watching_display(console);
  return follow_job(connection, id, *display, inbox, OnInterrupt::kLeave);
}

}  // namespace equipoise
