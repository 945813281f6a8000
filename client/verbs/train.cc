#include <memory>

#include "client/command_line/job_flags.h"
#include "client/command_line/verb.h"
#include "client/connection/follow_job.h"
#include "client/connection/interrupts.h"
#include "client/coordinator_process.h"
#include "client/job_inputs.h"
#include "client/private_folder.h"
#include "client/report/group_table.h"
#include "common/base/quoted_text.h"

namespace equipoise {
namespace {

// The coordinator is on this machine and was there a moment ago.
constexpr std::chrono::seconds kPatience{5};

struct TrainFlags {
  JobFlags job;
  bool quiet = false;
  std::string log_level;
};

v1::JobSpec embedded_spec(const JobFlags& flags) {
  v1::JobSpec spec = flags.spec();
  spec.mutable_launch()->set_mode(v1::LAUNCH_MODE_COORDINATOR);
  if (!spec.launch().has_workers()) spec.mutable_launch()->set_workers(1);
  check_job_inputs(make_job_config(spec));
  return spec;
}

FollowedJob run_job(const v1::JobSpec& spec, CoordinatorProcess& coordinator, JobInbox& inbox, ProgressDisplay& display,
                    PrivateFolder& folder) {
  try {
    Connection connection({coordinator.address(), kPatience}, [&inbox] { return inbox.interrupted(); });
    v1::CreateTrainingJobRequest request;
    *request.mutable_spec() = spec;
    const v1::TrainingJob job = connection.create_job(request);
    folder.keep();
    return follow_job(connection, job.id(), display, inbox, OnInterrupt::kCancelJob);
  } catch (const CoordinatorUnreachable& error) {
    // It is ours: that it is gone is no fault of the user's.
    const std::string end = coordinator.end();
    throw PeerError(std::string("the private coordinator ") +
                    (end.empty() ? "does not answer" : "ended (" + end + ")") + "; log: " + coordinator.log().string());
  }
}

void report(const v1::TrainingJob& job, const Console& console) {
  const std::string table = group_table(job, console.colors, console.glyphs);
  if (!table.empty()) console.out << "\n" << table;
  console.out << "\nmodel: " << job.spec().output() << "/final\n";
}

void train(const TrainFlags& flags, const Console& console) {
  const v1::JobSpec spec = embedded_spec(flags.job);
  JobInbox inbox;
  const Interrupts interrupts([&inbox] { inbox.interrupt(); });
  PrivateFolder folder;
  CoordinatorProcess coordinator({program_folder() / "equipoise-coordinator", folder.path(), flags.log_level},
                                 [&inbox] { return inbox.interrupted(); });
  const auto display = flags.quiet ? make_silent_display() : make_display(console);
  const FollowedJob followed = run_job(spec, coordinator, inbox, *display, folder);
  coordinator.stop();
  // What is wrong with the input stands in the reason; no log says more.
  const v1::TrainingJob& job = followed.job;
  const bool log_helps = job.state() == v1::JOB_STATE_FAILED && job.failure_kind() != v1::FAILURE_KIND_INVALID_INPUT;
  if (!log_helps) folder.discard();
  require_success(followed, log_helps ? "log: " + log_of_job(folder.path(), job.id()).string() : "");
  if (!flags.quiet) report(job, console);
}

}  // namespace

void add_train_verb(CLI::App& parent, Action& chosen) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* verb = parent.add_subcommand("train", "Train on this machine: starts all it needs, shows progress, ends");
  flags->job.add_to(*verb);
  verb->add_flag("--quiet", flags->quiet, "Say nothing unless something fails");
  verb->add_option("--log-level", flags->log_level, "Of the coordinator's log")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warn", "error", "off"}));
  verb->footer(
      "The run's folder receives metrics.jsonl, job.yaml and the model in final/. Ctrl-C cancels the job.\n"
      "Exit code: 0 done, 2 the input is not right, 1 anything else failed, 130 interrupted.\n"
      "\n"
      "  equipoise train job.yaml --np 2 --set robust.step_size=0.1 --output runs/faster");
  verb->callback([flags, &chosen] { chosen = [flags](const Console& console) { train(*flags, console); }; });
}

}  // namespace equipoise
